"""Texts to try an encoder with: odd ones, other scripts, and all lengths."""

from __future__ import annotations

import numpy as np

SCRIPTS = [
    "Wie wiederhole ich eine fehlgeschlagene Aufgabe?",
    "¿Cómo reintento una tarea que ha fallado?",
    "失敗したタスクを再試行するにはどうすればよいですか",
    "如何重试失败的任务？",
    "실패한 작업을 다시 시도하려면 어떻게 하나요?",
    "Как повторить неудавшуюся задачу?",
    "كيف أعيد محاولة مهمة فاشلة؟",
    "איך מנסים שוב משימה שנכשלה?",
    "विफल कार्य को पुनः कैसे प्रयास करें?",
    "Πώς επαναλαμβάνω μια αποτυχημένη εργασία;",
]
ODD = [
    "",
    " ",
    "\n\t",
    "a",
    "Z",
    "7",
    ".",
    "😀",
    "👩‍👩‍👧‍👦 family",
    "naïve café ﬁ ﬂ",
    "e\u0301",
    "\u200bzero\u200bwidth",
]
ODD += ["[CLS] [SEP] [MASK]", "x" * 150, "3.14159", "f(x) = x**2", "C:\\path\\file", "<b>bold</b>", "A\x00B"]


def varied_texts() -> list[str]:
    """208 texts: odd ones, other scripts, random words, some about as long as the model sees and longer."""
    generator = np.random.default_rng(7)
    words = "retry failed task vector index ocean bread sleep engine law music garden run of the".split()  # noqa: SIM905
    lengths = [1, 2, 3, 254, 255, 256, 257, 400, *generator.integers(1, 40, 171)]
    long = [" ".join(generator.choice(words, length)) for length in lengths]
    return ODD + SCRIPTS + long
