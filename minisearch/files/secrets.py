"""Keys and tokens in texts, and files that are secret by their name; nothing is read or written here.

A text goes in and comes out with the same length, each secret blanked, and a list of what was found where.
Only what can hardly be anything else counts: private keys, tokens with a maker's mark, values of names like
``api_key`` that look drawn by lot, and passwords, assigned or in an address.  Whether a value looks like one
is ``strength``'s to say.  Documentation is full of ``password: changeme``, which stays, and so does any
secret that is made of words, or has signs at which words end: accidents become small, but no text fit to
publish.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase

from minisearch.files.strength import PLACEHOLDER, is_drawn_by_lot, is_password, is_password_in_its_place

BLANK = "█"

Secret = tuple[str, int, int]  # kind, start, end

W = "[A-Za-z0-9_-]"
MAKERS = (
    ("AWS key", "AKIA ASIA", r"A[KS]IA[A-Z2-7]{16}(?![A-Za-z0-9])"),
    ("GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{36,251}"),
    ("GitHub token", "github_pat_", r"github_pat_[A-Za-z0-9_]{50,250}"),
    ("GitLab token", "glpat- glptt- gldt- glrt-", rf"gl(?:pat|ptt|dt|rt)-{W}{{20,100}}"),
    (
        "Slack token",
        "xoxa- xoxb- xoxe- xoxo- xoxp- xoxr- xoxs-",
        r"xox[abeoprs]-[0-9]{6,20}-[A-Za-z0-9-]{10,200}",
    ),
    ("Slack token", "xapp-", r"xapp-[0-9]-[A-Z0-9]{6,20}-[0-9]{6,20}-[A-Za-z0-9]{20,200}"),
    ("Slack webhook", "https://hooks.slack.com/", r"https://hooks\.slack\.com/services/T\w+/B\w+/\w{24,100}"),
    ("Stripe key", "sk_live_ rk_live_ sk_test_ rk_test_", r"[rs]k_(?:live|test)_[A-Za-z0-9]{20,250}"),
    ("Google key", "AIza", rf"AIza{W}{{35}}(?!{W})"),
    ("Google key", "GOCSPX-", rf"GOCSPX-{W}{{28}}(?!{W})"),
    ("Google token", "ya29.", rf"ya29\.{W}{{40,1000}}"),
    ("Anthropic key", "sk-ant-", rf"sk-ant-[a-z]{{2,10}}[0-9]{{2}}-{W}{{40,200}}"),
    ("OpenAI key", "sk-", rf"sk-(?:{W}{{20,200}}T3BlbkFJ{W}{{20,200}}|[A-Za-z0-9]{{48}}(?!{W}))"),
    ("Hugging Face token", "hf_", rf"hf_[A-Za-z0-9]{{34}}(?!{W})"),
    ("npm token", "npm_", rf"npm_[A-Za-z0-9]{{36}}(?!{W})"),
    ("PyPI token", "pypi-AgEI", rf"pypi-AgEI{W}{{50,500}}"),
    ("SendGrid key", "SG.", rf"SG\.{W}{{22}}\.{W}{{43}}(?!{W})"),
    ("JWT", "eyJ", rf"eyJ{W}{{8,4000}}\.eyJ{W}{{8,8000}}\.{W}{{20,2000}}"),
)
# Each mark is looked for as it stands, and its pattern is tried only there: no pattern is tried at every
# character, none looks far, and none begins inside a word that another one has looked through.
PATTERNS = [
    (mark, kind, re.compile(rf"(?<!{W})(?P<secret>{pattern})"))
    for kind, marks, pattern in MAKERS
    for mark in marks.split()
]

PASSWORDS = (
    *("password", "passwd", "pwd", "passphrase", "passwort", "kennwort", "wachtwoord"),
    *("contraseña", "contrasena", "mot de passe", "senha", "пароль"),
)
NAMES = (
    *("secret", "token", "api_key", "apikey", "api-key", "access_key", "accesskey"),
    *("auth_key", "private_key", "apiKey", "accessKey", "authKey", "privateKey"),
)
# A name ends where a word does, in the case that it has: TOKEN_2, tokenValue, secretkey, but not TOKENIZER,
# passwordless or Secretary. What stands before it is free: PGPASSWORD, authtoken.
LOWER, UPPER = "[a-zß-öø-ÿа-яё]", "[A-ZÀ-ÖØ-ÞА-ЯЁ]"
WORD_ENDS = (
    f"(?:(?<={LOWER})(?:s|keys?|values?)?(?!{LOWER})|(?<={UPPER})(?:S|KEYS?|VALUES?)?(?!{UPPER}(?!{LOWER})))"
)
# What stands between a name and its value: in code, in Markdown ("**Password:** ..."), in XML, in a sentence.
SPACE = "[ \\t\xa0\u202f]{0,8}"
SIGN = r"(?::=|=>|==?|[:：]|>|is:?(?=[ \t]))(?:\*\*)?"
ASSIGNED = rf"""{WORD_ENDS}[\w.-]{{0,50}}["'`\]*]{{0,2}}{SPACE}{SIGN}{SPACE}"""
QUOTE = r"""(?:[bBrRuU]?\\?["'`])"""
CHARACTER = "[A-Za-z0-9+/=_.~!@#%^&*?$-]"
ENDS = r"(?![^\s\"'`,;)\]}<>\\])"
VALUE = rf"(?P<secret>{CHARACTER}{{16,200}}){ENDS}"
SHORT_VALUE = rf"(?P<secret>{CHARACTER}{{8,200}}){ENDS}"
AFTER_NAME = re.compile(f"{ASSIGNED}{QUOTE}?{VALUE}")
AFTER_PASSWORD = re.compile(f"{ASSIGNED}{QUOTE}?{SHORT_VALUE}")
AFTER_PASS = re.compile(f"(?![A-Za-z]){ASSIGNED}{QUOTE}?{SHORT_VALUE}")
# Only quoted: "Pass: C01X00T47" is a passport's.
AFTER_PASS_QUOTED = re.compile(f"(?![A-Za-z]){ASSIGNED}{QUOTE}{SHORT_VALUE}")
AFTER_BEARER = re.compile(rf"[ \t]{{1,4}}{VALUE}")
AFTER_SCHEME = re.compile(r"://[^\s:/@\"'<>]{0,64}:(?P<secret>[^\s:/@\"'<>]{8,200})@(?!sha256:)")
Judge = Callable[[str], bool]
NAMED: tuple[tuple[tuple[str, ...], str, re.Pattern[str], Judge], ...] = (
    (PASSWORDS, "password", AFTER_PASSWORD, is_password),
    (("_pass",), "password", AFTER_PASS, is_password),
    (("pass",), "password", AFTER_PASS_QUOTED, is_password),
    (NAMES, "secret value", AFTER_NAME, is_drawn_by_lot),
    (("bearer",), "bearer token", AFTER_BEARER, is_drawn_by_lot),
    (("://",), "password in an address", AFTER_SCHEME, is_password_in_its_place),
)
BY_NAME = [
    (spelling, kind, pattern, is_secret)
    for names, kind, pattern, is_secret in NAMED
    for name in names
    for spelling in sorted({name, name.upper(), name.capitalize()} if name.islower() else {name})
]

KEY_BEGINS = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
PUTTY_BEGINS = re.compile(r"Private-Lines: [0-9]+")
LEAST_KEY = 64  # characters: "MIIE..." in a manual is no key
KEY_LINE = 40
LETTERS = re.compile(r"[A-Za-z0-9+/=]+")
# Lines of base64, perhaps between a string's escapes and quotes. The runs overlap, but nothing after them can
# fail, so none is tried twice.
KEY_BODY = re.compile(r"(?:[\s\\\"',nr]{0,200}[A-Za-z0-9+/=]{40,})*[\s\\\"',nr]{0,20}[A-Za-z0-9+/=]*")


def redact(text: str) -> tuple[str, list[tuple[str, int]]]:
    """The text with the characters of every secret blanked, and (kind, position) of each, in order.

    The text keeps its length and its line breaks, so every position in it still holds.
    """
    found: list[tuple[str, int]] = []
    parts: list[str] = []
    reached = 0
    for kind, start, end in sorted(_secrets(text), key=lambda secret: (secret[1], -secret[2])):
        if end <= reached:
            continue
        begin = max(start, reached)
        parts += text[reached:begin], re.sub(r"[^\r\n]", BLANK, text[begin:end])
        reached = end
        if begin == start:
            found.append((kind, start))
    return "".join(parts) + text[reached:], found


def _secrets(text: str) -> Iterator[Secret]:
    yield from _private_keys(text)
    for mark, kind, pattern in PATTERNS:
        for position in _positions(text, mark):
            token = pattern.match(text, position)
            if token and not PLACEHOLDER.search(token["secret"]):
                yield kind, token.start("secret"), token.end("secret")
    for name, kind, pattern, is_secret in BY_NAME:
        for position in _positions(text, name):
            skip = 0 if name == "://" else len(name)
            value = pattern.match(text, position + skip)
            if value and is_secret(value["secret"]):
                yield kind, value.start("secret"), value.end("secret")


def _positions(text: str, mark: str) -> Iterator[int]:
    position = text.find(mark)
    while position >= 0:
        yield position
        position = text.find(mark, position + len(mark))


def _private_keys(text: str) -> Iterator[Secret]:
    """What stands between the lines that begin and end a private key, where that is mostly base64."""
    begins = sorted([*KEY_BEGINS.finditer(text), *PUTTY_BEGINS.finditer(text)], key=re.Match.start)
    limits = [begin.start() for begin in begins[1:]] + [len(text)]
    for begin, limit in zip(begins, limits[: len(begins)], strict=True):
        end_mark = "Private-MAC" if begin.re is PUTTY_BEGINS else "-----END "
        end = text.find(end_mark, begin.end(), limit)
        if end < 0:  # cut off
            body = KEY_BODY.match(text, begin.end(), limit)
            end = body.end() if body else begin.end()
        runs = [len(run) for run in LETTERS.findall(text, begin.end(), end)]
        in_lines = sum(run for run in runs if run >= KEY_LINE)
        if in_lines >= LEAST_KEY and in_lines > sum(runs) / 2:
            yield "private key", begin.end(), end


# --- files by name -------------------------------------------------------------------------------------

FILES = (
    ("a private key", "id_rsa id_dsa id_ecdsa id_ed25519 id_ecdsa_sk id_ed25519_sk *.key *.ppk"),
    ("a private key", "key.pem *-key.pem *_key.pem *.key.pem privkey*.pem private*.pem"),
    ("environment variables", ".env .env.* *.env .envrc"),
    (
        "passwords",
        ".netrc _netrc .pgpass .my.cnf .htpasswd .git-credentials .pypirc .vault_pass .vault-token",
    ),
    ("credentials", "credentials.json client_secret*.json service-account*.json service_account*.json"),
    (
        "credentials",
        "application_default_credentials.json secrets.json secrets.toml secrets.yaml secrets.yml",
    ),
    ("a key store", "*.kdb *.kdbx *.p12 *.pfx *.jks *.keystore *.keychain *.keychain-db wallet.dat"),
)
FILE_PATTERNS = [pattern for _, patterns in FILES for pattern in patterns.split()]
# What a name must begin or end with to be any of them: asked of every file of every run.
SECRET_NAMES = {pattern for pattern in FILE_PATTERNS if "*" not in pattern}
SECRET_BEGINNINGS = tuple(pattern.partition("*")[0] for pattern in FILE_PATTERNS if "*" in pattern[1:])
SECRET_ENDINGS = tuple(pattern[1:] for pattern in FILE_PATTERNS if pattern.startswith("*"))
HARMLESS = (".example", ".sample", ".template", ".dist", ".defaults", ".pub")


def is_secret_file(name: str) -> str | None:
    """Why a file of this name (the last part of its path) is taken for a secret; None where it is not.

    >>> is_secret_file(".env.local")
    'environment variables, by its name (.env.*)'
    """
    lower = name.lower()
    is_like_one = lower.startswith(SECRET_BEGINNINGS) or lower.endswith(SECRET_ENDINGS)
    if not (is_like_one or lower in SECRET_NAMES) or lower.endswith(HARMLESS):
        return None
    for what, patterns in FILES:
        for pattern in patterns.split():
            if fnmatchcase(lower, pattern):
                return f"{what}, by its name ({pattern})"
    return None
