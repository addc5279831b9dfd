"""Find secrets in documents and blank them before anything is stored or embedded.

A document goes in; the same document comes out, with each character of a secret replaced by a block, so that
all positions stay, and with a note of what was found where.  Which files are secret by their name is also
decided here; nothing is read or written.

Only what can hardly be anything else counts: private keys, tokens with a vendor's prefix, random values of
names like ``api_key``, and passwords, assigned or in an address.  Documentation is full of
``password: changeme``, which stays, and so does any secret that is made of words.  That reduces accidents; it
does not make a text fit to publish.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase, translate
from types import MappingProxyType

from minisearch.files.secret_values import (
    LEAST,
    has_password,
    is_no_placeholder,
    is_password,
    is_password_in_address,
    is_random,
    is_token,
)
from minisearch.text import count, line_number
from minisearch.types import Document

BLANK = "█"

Secret = tuple[str, int, int]  # kind, start, end

# --- secrets in a text -----------------------------------------------------------------------------

W = "[A-Za-z0-9_-]"
MAKERS = (
    ("AWS key", "AKIA ASIA", r"A[KS]IA[A-Z2-7]{16}(?![A-Za-z0-9])"),
    ("GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{36,251}"),
    ("GitHub token", "github_pat_", r"github_pat_[A-Za-z0-9_]{50,250}"),
    ("GitLab token", "glpat- glptt- gldt- glrt-", rf"gl(?:pat|ptt|dt|rt)-{W}{{20,100}}"),
    ("Slack token", "xox", r"xox[abeoprs]-[0-9]{6,20}-[A-Za-z0-9-]{10,200}"),
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
    ("Twilio key", "SK", r"SK[0-9a-f]{32}(?![A-Za-z0-9])"),
    (
        "Discord token",  # it begins with the base64 of a number
        "MD MT Mj Mz ND NT Nj Nz OD OT",
        rf"[MNO]{W}{{23,27}}\.{W}{{6}}\.{W}{{27,40}}(?!{W})",
    ),
    ("JWT", "eyJ", rf"eyJ{W}{{8,4000}}\.eyJ{W}{{8,8000}}\.{W}{{20,2000}}"),
)
# What begins the tokens of other makers; the rest must look generated.
BEGINNINGS = """
    AGE-SECRET-KEY-1 ATATT3x CCIPAT_ CLOJARS_ LTAI NRAK- PMAK- bkua_ dapi dckr_pat_ django-insecure-
    doo_v1_ dop_v1_ dp.pt. figd_ glc_ glsa_ gsk_ hvb. hvs. lin_api_ nfp_ ntn_ pplx- pscale_pw_
    pscale_tkn_ pul- r8_ rubygems_ sb_secret_ sbp_ shpat_ shpca_ shppa_ shpss_ sk-or-v1- sk.eyJ sntrys_
    sntryu_ sq0atp- sq0csp- tskey-api- tskey-auth- tskey-client- whsec_ xai-
"""
BEGUN = re.compile(
    rf"(?<![\w-])(?:{'|'.join(map(re.escape, BEGINNINGS.split()))})(?P<secret>[^\s\"'`,;<>]{{16,200}})"
)
LEAST_TOKEN = 19  # characters, of the shortest beginning and what follows it

Judge = Callable[[str], bool]
# Each prefix is searched as plain text, and its pattern is tried only there: no pattern is tried at every
# character, none looks far, and none begins inside a word that another one has looked through.
TOKENS: list[tuple[str, str, re.Pattern[str], Judge]] = [
    *(
        (prefix, kind, re.compile(rf"(?<!{W})(?P<secret>{pattern})"), is_no_placeholder)
        for kind, prefixes, pattern in MAKERS
        for prefix in prefixes.split()
    ),
    *((beginning, "access token", BEGUN, is_token) for beginning in BEGINNINGS.split()),
    ("Q~", "access token", re.compile(rf"(?<=[0-9])Q~(?P<secret>{W}{{31,34}})(?!{W})"), is_token),
    (":AA", "access token", re.compile(rf"(?<=[0-9]):AA(?P<secret>{W}{{33}})(?!{W})"), is_token),
]

PASSWORDS = (
    *("password", "passwd", "pwd", "passphrase", "passwort", "kennwort", "wachtwoord"),
    *("contraseña", "contrasena", "mot de passe", "senha", "пароль"),
)
NAMES = (
    *("secret", "token", "account_key", "accountkey", "api_key", "apikey", "api-key"),
    *("access_key", "accesskey", "auth_key", "authkey", "private_key", "privatekey"),
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
ASSIGNED = rf"""(?!_?[Ii][Dd]\b){WORD_ENDS}[\w.-]{{0,50}}["'`\]*]{{0,2}}{SPACE}{SIGN}{SPACE}"""
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
AFTER_QUOTE = re.compile(rf"[ \t]{{1,4}}{QUOTE}{SHORT_VALUE}")
AFTER_OPTION = re.compile(rf"[ \t]{{1,4}}{QUOTE}?{SHORT_VALUE}")
AFTER_LOGIN = re.compile(rf"[ \t]{{1,8}}\S{{1,100}}\s{{1,20}}password[ \t]{{1,8}}{SHORT_VALUE}")
AFTER_PORT = re.compile(rf"[^\s:]{{1,64}}:[^\s:]{{1,64}}:{SHORT_VALUE}")
BEFORE_OPTION = r"[^\n|;&]{0,200}?[ \t]"
AFTER_CURL = re.compile(rf"{BEFORE_OPTION}(?:-u|--user)[ \t=]?{QUOTE}?[^\s:\"']{{1,64}}:{SHORT_VALUE}")
AFTER_MYSQL = re.compile(rf"{BEFORE_OPTION}-p{QUOTE}?{SHORT_VALUE}")
AFTER_PROGRAM = re.compile(rf"{BEFORE_OPTION}-[pa][ \t]{{0,4}}{QUOTE}?{SHORT_VALUE}")
BASE64 = "[A-Za-z0-9+/=_-]"
LOGIN_IN_BASE64 = rf"(?P<secret>{BASE64}{{8,500}})"
AFTER_KEY_DATA = re.compile(rf"[\"']?{SPACE}:{SPACE}[\"']?(?P<secret>{BASE64}{{64,20000}})")
AFTER_AUTHORIZATION = re.compile(rf"[\"']?{SPACE}[:=]{SPACE}{QUOTE}?(?![bB]asic)\w{{1,20}}[ \t]{VALUE}")
AFTER_SCHEME = re.compile(r"[^\s:/@\"'<>]{0,64}:(?P<secret>[^\s:/@\"'<>]{8,200})@(?!sha256:)")
# What stands before a value, in lower case; it is found in any case.
NAMED: tuple[tuple[tuple[str, ...], str, re.Pattern[str], Judge], ...] = (
    (PASSWORDS, "password", AFTER_PASSWORD, is_password),
    (("_pass",), "password", AFTER_PASS, is_password),
    (("pass",), "password", AFTER_PASS_QUOTED, is_password),
    (NAMES, "secret value", AFTER_NAME, is_random),
    (("bearer",), "bearer token", re.compile(rf"[ \t]{{1,4}}{VALUE}"), is_random),
    (("authorization",), "secret value", AFTER_AUTHORIZATION, is_random),
    (("basic ",), "password", re.compile(LOGIN_IN_BASE64), has_password),
    (('"auth"',), "password", re.compile(rf"{SPACE}:{SPACE}\"{LOGIN_IN_BASE64}"), has_password),
    (("client-key-data", "tls.key"), "private key", AFTER_KEY_DATA, is_no_placeholder),
    (("login",), "password", AFTER_LOGIN, is_password_in_address),
    (("--password", "--passwd", "--pass", "--passphrase"), "password", AFTER_OPTION, is_password),
    (("--token", "--secret", "--api-key", "--secret-key"), "secret value", AFTER_OPTION, is_random),
    (("password", "identified by"), "password", AFTER_QUOTE, is_password),
    ((":5432:", ":5433:", ":*:"), "password", AFTER_PORT, is_password_in_address),
    (("curl", "wget"), "password", AFTER_CURL, is_password_in_address),
    (("mysql", "mysqldump", "mariadb"), "password", AFTER_MYSQL, is_password_in_address),
    (("sshpass", "mongosh", "mongodump", "redis-cli"), "password", AFTER_PROGRAM, is_password_in_address),
    (("://",), "password in an address", AFTER_SCHEME, is_password_in_address),
)

KEY_BEGINS = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
PUTTY_BEGINS = re.compile(r"Private-Lines: [0-9]+")
LEAST_KEY = 64  # characters: "MIIE..." in a manual is no key
KEY_LINE = 40
LETTERS = re.compile(r"[A-Za-z0-9+/=]+")
# Lines of base64, perhaps between a string's escapes and quotes. The runs overlap, but nothing after them can
# fail, so none is tried twice.
KEY_BODY = re.compile(r"(?:[\s\\\"',nr]{0,200}[A-Za-z0-9+/=]{40,})*[\s\\\"',nr]{0,20}[A-Za-z0-9+/=]*")


def redact(text: str, known: Mapping[str, str] = MappingProxyType({})) -> tuple[str, list[Secret]]:
    """The text with the characters of every secret blanked, and the secrets, in order; they do not overlap.

    ``known`` are parts of secrets found elsewhere, with their kinds.  The text keeps its length and its line
    breaks, so every position in it still holds.
    """
    secrets = list(_secrets(text))
    secrets += _elsewhere(text, {**known, **_parts(text, secrets)})
    found: list[Secret] = []
    parts: list[str] = []
    reached = 0
    for kind, start, end in sorted(secrets, key=lambda secret: (secret[1], -secret[2])):
        if end <= reached:
            continue
        if start >= reached:
            found.append((kind, start, end))
        else:  # it goes on where another one ends
            found[-1] = (*found[-1][:2], end)
        start = max(start, reached)
        parts += (text[reached:start], re.sub(r"[^\r\n]", BLANK, text[start:end]))
        reached = end
    return "".join(parts) + text[reached:], found


def _secrets(text: str) -> Iterator[Secret]:
    yield from _private_keys(text)
    long_words = " ".join(word for word in text.split() if len(word) >= LEAST_TOKEN)
    for prefix, kind, pattern, is_secret in TOKENS:
        for position in _positions(text, prefix) if prefix in long_words else ():
            token = pattern.match(text, position)
            if token and is_secret(token["secret"]):
                yield kind, *token.span("secret")
    lower = text.replace("İ", "I").lower()  # the only character whose lower case is longer
    for names, kind, pattern, is_secret in NAMED:
        for name in names:
            for position in _positions(lower, name):
                value = pattern.match(text, position + len(name))
                if value and is_secret(value["secret"]):
                    yield kind, *value.span("secret")


def _positions(text: str, prefix: str) -> Iterator[int]:
    position = text.find(prefix)
    while position >= 0:
        yield position
        position = text.find(prefix, position + len(prefix))


PARTS = re.compile(r"[^\s\"'`,;:=<>()\[\]{}]+")
FINER_PARTS = re.compile(r"[^\s\"'`,;:=<>()\[\]{}@/&?#|\\]+")


def _parts(text: str, secrets: Iterable[Secret]) -> dict[str, str]:
    """The secrets in a text and their parts, as far as they are long enough, with their kinds."""
    return {
        part: kind
        for kind, start, end in secrets
        for part in (text[start:end], *PARTS.findall(text[start:end]))
        if len(part) >= LEAST
    }


def _elsewhere(text: str, kinds: Mapping[str, str]) -> Iterator[Secret]:
    """Where these parts of secrets stand in a text, whatever is before them."""
    for pattern in (PARTS, FINER_PARTS) if kinds else ():
        for part in pattern.finditer(text):
            for word in (part[0], part[0].rstrip(".!?")):
                if word in kinds:
                    yield kinds[word], part.start(), part.start() + len(word)


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
# One pattern of all, for it is tried with every file of every run.
SECRET_NAME = re.compile(
    "|".join(translate(pattern) for _, patterns in FILES for pattern in patterns.split())
)
HARMLESS = (".example", ".sample", ".template", ".dist", ".defaults", ".pub")


def is_secret_file(name: str) -> str | None:
    """Why a file of this name (the last part of its path) is taken for a secret; None where it is not.

    >>> is_secret_file(".env.local")
    'environment variables, by its name (.env.*)'
    """
    lower = name.lower()
    if not SECRET_NAME.match(lower) or lower.endswith(HARMLESS):
        return None
    for what, patterns in FILES:
        for pattern in patterns.split():
            if fnmatchcase(lower, pattern):
                return f"{what}, by its name ({pattern})"
    return None


# --- documents ----------------------------------------------------------------------------------------

LISTED = 5


def screened(document: Document) -> Document:
    """The document without the secrets in its text, title, headings, notes, and fields.

    A secret found in the text is also blanked in all others, where the words around it may be missing.  A
    field whose name is a secret is left out.
    """
    values = [f"{name}: {one}" for name, of in document.fields.items() for one in of if isinstance(one, str)]
    lines = "\n".join(values)  # front matter stands only here
    in_fields = redact(lines)[1]
    text, found = redact(document.text, _parts(lines, in_fields))
    known = _parts(document.text, found)
    in_fields = [one for one in in_fields if lines[one[1] : one[2]] not in known]
    known |= _parts(lines, in_fields)
    fields = {name: values for name, values in document.fields.items() if not _is_secret_name(name, known)}
    values = [f"{name}: {one}" for name, of in fields.items() for one in of if isinstance(one, str)]
    titles = [document.title, *(heading.title for heading in document.headings)]
    clean = _clean([*titles, *values, *document.names, *document.notes], known)
    return replace(
        document,
        text=text,
        title=next(clean),
        headings=tuple(replace(heading, title=next(clean)) for heading in document.headings),
        fields={
            name: tuple(next(clean)[len(name) + 2 :] if isinstance(one, str) else one for one in of)
            for name, of in fields.items()
        },
        names=tuple(next(clean) for _ in document.names),
        notes=(*clean, *([_note(document, found, in_fields)] if found or in_fields else [])),
    )


def _is_secret_name(name: str, parts: Iterable[str]) -> bool:
    """Whether the name of a field, which is in lower case, holds a secret."""
    return any(part.lower() in name for part in parts) or bool(redact(name)[1])


def _clean(texts: Sequence[str], known: Mapping[str, str]) -> Iterator[str]:
    """Each of some short texts without secrets, and without those known."""
    together, _ = redact("\n".join(texts), known)  # thousands of headings in one go; it keeps the length
    start = 0
    for text in texts:
        yield together[start : start + len(text)]
        start += len(text) + 1


def has_only_blanks(text: str) -> bool:
    """Whether nothing is left of a text but blanked secrets."""
    return BLANK in text and not text.replace(BLANK, "").strip()


def _note(document: Document, found: Sequence[Secret], in_fields: Sequence[Secret]) -> str:
    """How many secrets, of which kind and where."""
    source, anchors = document.origin.source, document.origin.anchors
    listed = [
        f"{kind}, line {line_number(source, anchors.source_position(start))}"
        for kind, start, _ in found[:LISTED]
    ]
    listed = [*listed, *(f"{kind}, metadata" for kind, _, _ in in_fields)][:LISTED]
    n_found = len(found) + len(in_fields)
    more = f" and {n_found - LISTED:,} more" if n_found > LISTED else ""
    n = count(n_found, "possible secret")
    return f"{n} hidden: {'; '.join(listed)}{more} (--keep-secrets indexes them)"
