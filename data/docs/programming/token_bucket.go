// Package limit keeps one noisy client from using up a service that many share.
//
// The idea is a bucket of tokens. It holds at most `burst` of them and is refilled at a steady rate.
// Each request takes one token; when none is left the request is refused, and the caller should answer
// 429 Too Many Requests with a Retry-After header.
//
// Why not simply count requests per minute? With a counter that is reset on the full minute, a client
// may send its whole quota at 11:59:59 and again at 12:00:00, twice the limit within a second. The
// bucket has no such edge. It allows short bursts, which is how people click, and still bounds the
// average over any longer time.
package limit

import (
	"sync"
	"time"
)

// Bucket limits one client. Its zero value is not usable; call New.
type Bucket struct {
	mu     sync.Mutex
	rate   float64 // tokens per second
	burst  float64 // capacity
	tokens float64 // what was there at `last`
	last   time.Time
}

// New returns a full bucket, so that a client who has just arrived is not made to wait.
func New(rate, burst float64, now time.Time) *Bucket {
	return &Bucket{rate: rate, burst: burst, tokens: burst, last: now}
}

// Allow takes one token and reports whether there was one.
//
// No background goroutine drips tokens in. The level is worked out from the time since the last call,
// so that a million idle clients cost memory but no processor time. The clock is passed in by the
// caller, which lets tests run a simulated hour in a microsecond.
func (b *Bucket) Allow(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()

	// Two goroutines may read the clock in one order and get the lock in the other; never refill backwards.
	if elapsed := now.Sub(b.last).Seconds(); elapsed > 0 {
		b.tokens = min(b.burst, b.tokens+elapsed*b.rate)
		b.last = now
	}
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// Wait says how long until the next token: the number to put into Retry-After.
func (b *Bucket) Wait() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens >= 1 {
		return 0
	}
	return time.Duration((1 - b.tokens) / b.rate * float64(time.Second))
}

// Choosing the numbers: take the rate from what the service can bear, divided by the clients you expect
// to be active at once, and the burst from what a single page needs when it loads, often 20 to 40
// requests. Key the buckets by account rather than by address where you can. Behind the router of a
// school or a mobile network thousands of people share one IP address, and limiting it locks out all of
// them for the sake of one.
//
// With several servers each bucket sees only a part of the traffic. Either keep the state in a shared
// store such as Redis, where a short script must read and write it in one step, or give every server its
// share of the rate and accept that the limit is approximate. Approximate is nearly always good enough.
