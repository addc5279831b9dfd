"""Secrets are blanked where they stand, texts that only talk of them are left alone, and time is linear."""

import base64
import random
import re
import string
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minisearch.files.secrets import NAMES, PASSWORDS, is_secret_file, redact

DICE = random.Random(20)
ALPHANUMERIC = string.ascii_letters + string.digits


def drawn(n: int, letters: str = ALPHANUMERIC, dice: random.Random = DICE) -> str:
    return "".join(dice.choices(letters, k=n))


def base64_of(n_bytes: int, width: int = 64) -> str:
    whole = base64.b64encode(DICE.randbytes(n_bytes)).decode()
    return "\n".join(whole[i : i + width] for i in range(0, len(whole), width))


# Put together here, so that no scanner takes this file for a leak.
TOKENS = {
    "AWS key": "AKIA" + drawn(16, string.ascii_uppercase + "234567"),
    "GitHub token": "ghp" + "_" + drawn(36),
    "GitLab token": "glpat" + "-" + drawn(20),
    "Slack token": "xoxb" + "-" + drawn(12, string.digits) + "-" + drawn(24),
    "Slack webhook": "https://hooks.slack.com"
    + "/services/T0"
    + drawn(8)
    + "/B0"
    + drawn(8)
    + "/"
    + drawn(24),
    "Stripe key": "sk" + "_live_" + drawn(24),
    "Google key": "AI" + "za" + drawn(35),
    "Anthropic key": "sk" + "-ant-api03-" + drawn(95),
    "OpenAI key": "sk" + "-proj-" + drawn(40) + "T3Blbk" + "FJ" + drawn(40),
    "Hugging Face token": "hf" + "_" + drawn(34),
    "npm token": "npm" + "_" + drawn(36),
    "PyPI token": "pypi" + "-AgEI" + drawn(80),
    "SendGrid key": "SG" + "." + drawn(22) + "." + drawn(43),
    "JWT": "ey" + "J" + drawn(20) + ".ey" + "J" + drawn(60) + "." + drawn(43),
}


def key_block(kind: str, body: str) -> str:
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----\n"


@pytest.mark.parametrize("kind, token", TOKENS.items())
@pytest.mark.parametrize("frame", ["{}", "see {} here", 'x = "{}"', "a\r\n`{}`\r\nb", "https://h/?k={}&v=1"])
def test_a_makers_token_is_blanked_and_named_wherever_it_stands(kind, token, frame):
    text = frame.format(token)
    blanked, found = redact(text)
    assert found[0] == (kind, text.index(token), text.index(token) + len(token))
    assert blanked == text.replace(token, "█" * len(token))


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
def test_a_private_key_is_blanked_between_its_first_line_and_its_last(kind):
    body = base64_of(600)
    text = f"before\n{key_block(kind, body)}after"
    blanked, found = redact(text)
    assert [kind for kind, *_ in found] == ["private key"]
    assert blanked == text.replace(body, re.sub("[^\n]", "█", body))


def test_a_key_that_is_cut_off_or_inside_a_string_is_blanked_too():
    body = base64_of(300)
    for text in (
        key_block("RSA ", body).partition("-----END")[0] + "\nordinary words follow here",
        '{"private_key": "' + key_block("", body).replace("\n", "\\n") + '"}',
        "PuTTY-User-Key-File-2: ssh-rsa\nPrivate-Lines: 8\n" + body + "\nPrivate-MAC: 0",
    ):
        blanked, found = redact(text)
        assert len(found) == 1
        assert not any(line in blanked for line in body.split("\n"))
    assert (
        "words follow here"
        in redact(key_block("", body).partition("-----END")[0] + "\nthe words follow here")[0]
    )


@pytest.mark.parametrize("line", [
    'password = "{}"', "password: {}", "DB_PASSWORD={}", 'os.environ["API_KEY"] = \'{}\'', '"secret": "{}",',
    "api-key => {}", "clientSecretToken := `{}`", "apiKey: '{}'", "Authorization: Bearer {}",
    "postgres://app:{}@db.local/app", "export AWS_SECRET_ACCESS_KEY={}",
])  # fmt: skip
def test_a_value_drawn_by_lot_is_blanked_after_a_name_that_promises_one(line):
    for letters in (ALPHANUMERIC, ALPHANUMERIC + "+/", "0123456789abcdef"):
        n_blanked, dice = 0, random.Random(7)
        for _ in range(400):
            value = drawn(40, letters.replace("/", "") if "://" in line else letters, dice)
            text = line.format(value)
            n_blanked += redact(text)[0] == text.replace(value, "█" * 40)
        assert n_blanked >= 0.96 * 400  # of 2,000 such values 98.4% and more look drawn by lot


PASSWORD = "o1DCvl4" + "ocC7tgx"


@pytest.mark.parametrize("line", [
    "postgres://bob:{}@host", "see redis://:{}@cache:6379/0 there", "HTTPS://u:{}@h", "password: {}",
    'password = "{}"', "PGPASSWORD={} psql", "userPassword: '{}'", "--password={}", '"passwd" : "{}"',
    "passphrase := `{}`", "**Password:** {}", "DB_PASS={}", "SMTP_PASS: {}", "db_pass = '{}'",
    "auth: {{user: 'me', pass: '{}'}}", "my password is {}", "The password is: `{}`", "Kennwort: {}",
    "Passwort:\u00a0{}", "Contrase\u00f1a: {}", "mot de passe : {}",
    "Mot de passe\u00a0: {}", "CONTRASE\u00d1A={}", "Password: `{}`", "<password>{}</password>", "pwd={};",
    "password: {}\n",
])  # fmt: skip
@pytest.mark.parametrize(
    "password", [PASSWORD, "k9!Vq2#zR7", "x7k2m9p4q1", "Tr0ub4dor&3", "Winter" + "2024!"]
)
def test_a_short_password_is_blanked_after_a_name_or_in_an_address(line, password):
    text = line.format(password)
    blanked, ((kind, position, _),) = redact(text)
    assert (blanked, position) == (text.replace(password, "█" * len(password)), text.index(password))
    assert kind == ("password in an address" if "://" in line else "password")


DRAWN = "Zx9kQ2vL7pR4" + "tW8mB3nD6"


@pytest.mark.parametrize("name", [
    "TOKEN", "API_TOKEN", "TOKEN_2", "token2", "tokenValue", "TOKENValue", "tokenvalue", "TOKENS", "tokens",
    "authtoken", "secretkey", "SECRETKEY", "SecretKeys", "secret.key", "apiKeyProd", "APIKEY_PROD",
    "api-keys", "PGPASSWORD", "passwords", "passwordHash", "Passwort",
    "\u043f\u0430\u0440\u043e\u043b\u044c", "SENHAS",
    "tokenizer_token", "secretaries_secret",
])  # fmt: skip
def test_a_name_promises_a_secret_whatever_words_stand_around(name):
    text = f'{name} = "{DRAWN}"'
    assert redact(text)[0] == text.replace(DRAWN, "█" * len(DRAWN))


@pytest.mark.parametrize("name", [
    "TOKENIZER", "Tokenizer", "tokenizer", "tokenizerName", "TOKENIZATION", "tokenized", "MY_TOKENISER_1",
    "passwordless", "PASSWORDLESS", "passwordlessLogin", "secretary", "Secretary", "SECRETARIAT", "secretion",
    "apikeyring", "accesskeyid", "Passwortliste", "wachtwoordloos", "senhasinho", "tokensale",
    "\u043f\u0430\u0440\u043e\u043b\u044c\u043d\u044b\u0439",
    "\u041f\u0410\u0420\u041e\u041b\u042c\u041d\u042b\u0419",
])  # fmt: skip
def test_the_beginning_of_another_word_promises_none(name):
    for value in (DRAWN, "all-MiniLM-L6-v2"):
        assert redact(f'{name} = "{value}"')[1] == []


@given(
    st.sampled_from([name for name in (*NAMES, *PASSWORDS) if name.islower()]),
    st.text(string.ascii_lowercase, min_size=2, max_size=9),
    st.sampled_from([str.lower, str.upper, str.capitalize]),
)
def test_a_name_ends_where_its_word_does(name, more, cased):
    run_on = f"{name}{more}"
    assume(more not in {"key", "keys", "value", "values"})
    assume(not any(run_on.find(other, 1) >= 0 and other not in name for other in (*NAMES, *PASSWORDS)))
    for one in (f"{cased(name)}_{cased(more)}", f"{cased(name)}{more.capitalize()}"):
        assert len(redact(f"{one} = {DRAWN}")[1]) == 1
    assert redact(f"{cased(run_on)} = {DRAWN}")[1] == []


@pytest.mark.parametrize("value", [
    "AFTC" + "loiADN", "8agOMTN" + "wncxv", "83920174", "xkqzvbnm", "a%21bK9xq2", "k9!Vq2.zR7", "Blue7-moon!",
])  # fmt: skip
def test_in_an_address_all_but_words_is_a_password(value):
    text = f"mysql://root:{value}@localhost/db"
    assert redact(text) == (
        text.replace(value, "█" * len(value)),
        [("password in an address", 13, 13 + len(value))],
    )


@pytest.mark.parametrize("value", [
    "<password>", "{{x1Yz2Qw3}}", "$PW1x2Y3z4", "${PW1x2Y3z4}", "$(pw1x2Y3z4)", "%PW1x2Y3z4%", "%(db_word)s",
    "[x1Yz2Qw3]", "the{x1Yz2}", "b64decode(x1)", "P4ssw0rd!1", "s3cr3t-Wx9z", "your1X2y3Z", "********",
    "12345678", "2024-01-01", "correct-horse-battery", "correctHorseBattery", "mongo2024", "THEDATABASE",
    "a%20plain%20word", "sha512_crypt", "\u043f\u0430\u0440\u043e\u043b\u044c12", "short1X",
])  # fmt: skip
def test_what_stands_for_a_password_in_an_address_stays(value):
    text = f"postgres://bob:{value}@host"
    assert redact(text) == (text, [])


def test_a_tag_and_a_digest_are_no_password():
    for text in ("docker://nginx:1.25.3x-a1B2@sha256:0f", "Pass: C01X00T47", "n_passes = k9Vq2zR7tL"):
        assert redact(text) == (text, [])


@pytest.mark.parametrize("value", [
    "Base64String", "Argon2Hasher", "X509Cert2", "Uint8Array", "Float64Array", "Sha256Hash", "PBKDF2Hasher",
    "i18nLabel", "k8sSecretRef", "Blake2bHash", "OAuth2PasswordRequestForm", "models.X509Cert2", "Base64url",
])  # fmt: skip
def test_names_in_code_are_no_passwords(value):
    for line in ("password: {}", "password: {},", "def f(password={}): ...", "let dbPassword: {};"):
        assert redact(line.format(value))[1] == []
    assert redact("private_key: ed25519.Ed25519PrivateKey, token: crypto.hazmat2.Base64TokenReader")[1] == []


@pytest.mark.parametrize("value", [
    "", "<password>", "{{ x1Yz2Qw3 }}", "{{x1Yz2Qw3}}", "$PW1x2Y3z4", "${PW1x2Y3z4}", "$(pw1x2Y3z4)",
    "%PW1x2Y3z4%",
    "[x1Yz2Qw3]", "!vault1x2Y3z4", "&a1B2c3D4e", "*a1B2c3D4e", "str", "yes", "the one you chose",
    "Optional[str]",
    "P4ssw0rd!1", "Pa$$w0rd1", "Password1", "SuperSecretPass01", "s3cr3t-Wx9z", "hunter2", "changeme",
    "pass1234",
    "your1X2y3Z", "a1b2", "12345678", "2024-01-01", "/etc/x1/Y2z3", "self.p2p.V1x", "b64decode(x1)",
    "sha512_crypt",
    "md5(x1Y2z3)", "getenv", "Admin123!", "xxxx1A2b", "********", "correct-horse-battery", "-x1Y2z3W4",
])  # fmt: skip
@pytest.mark.parametrize(
    "line", ["password: {}", "password = {}", 'pwd="{}"', "DB_PASS={}", "<passwd>{}</passwd>"]
)
def test_what_stands_for_a_password_stays(line, value):
    text = line.format(value)
    assert redact(text) == (text, [])


def test_what_is_short_is_no_secret_after_other_names():
    for name in ("token", "secret", "api_key", "private_key", "user", "pass", "DB_PASSES"):
        assert redact(f"{name}: {PASSWORD}")[1] == []
    assert redact(f"{PASSWORD} and x@{PASSWORD}@host, a://{PASSWORD}@host")[1] == []


@pytest.mark.parametrize(
    "letters", [ALPHANUMERIC, ALPHANUMERIC + "!@#$%^&*", ALPHANUMERIC + "./", "0123456789abcdef"]
)
def test_three_of_four_passwords_of_twelve_characters_are_blanked(letters):
    dice = random.Random(11)
    values = [drawn(12, letters, dice) for _ in range(400)]
    assert sum(bool(redact(f"password: {value}")[1]) for value in values) >= 0.75 * 400


@pytest.mark.parametrize(
    "letters", [string.ascii_letters, ALPHANUMERIC, string.ascii_lowercase + string.digits]
)
def test_nine_of_ten_passwords_in_an_address_are_blanked(letters):
    dice = random.Random(12)
    values = [drawn(12, letters, dice) for _ in range(400)]
    assert sum(bool(redact(f"mysql://root:{value}@host/db")[1]) for value in values) >= 0.9 * 400


@pytest.mark.parametrize("text", [
    "password: changeme", "password = hunter2", 'password: "{{ vault_password }}"', "token=$GITHUB_TOKEN",
    "password: correct-horse-battery-staple", "secret: my_very_long_secret_name_2024",
    "api_key = settings.API_KEY",
    "password=your-password-goes-here-123", "token: https://example.com/a/token/endpoint2",
    "aws_access_key_id = AKIAIOSFODNN7EXAMPLE", "secret_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC7 me@host", "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
    "-----BEGIN PRIVATE KEY-----\nMIIE...\n-----END PRIVATE KEY-----",
    "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl",
    "A file that begins with -----BEGIN RSA PRIVATE KEY----- holds a key. " * 3 + "-----END it is.",
    "sk-learn and sk_test, ghp_short, eyJust a word", "password: myLongPasswordWithWords2Go", "://a:b@c", "",
    '"token2wav_config": Qwen2_5OmniToken2WavConfig,',
    "token: 192.168.100.200.10.20.30.40-50", "token: release-1.20.3-build.17",
    "password file: /etc/minisearch/passwords.d/2024/01/list.txt", "token: 2024-01-01T10:20:30.123456+00:00",
])  # fmt: skip
def test_texts_that_only_talk_of_secrets_stay_as_they_are(text):
    assert redact(text) == (text, [])


@given(st.lists(st.one_of(
    st.sampled_from([*TOKENS.values(), "password = ", '"', "\n", "\r\n", "://u:", "@h", "é😀",
                     key_block("RSA ", base64_of(90)), "-----BEGIN PRIVATE KEY-----", "-----END ",
                     "Bearer "]),
    st.text(max_size=8)), max_size=12).map("".join))  # fmt: skip
def test_the_text_keeps_its_length_and_all_that_is_not_blanked(text):
    blanked, found = redact(text)
    assert len(blanked) == len(text)
    assert all(new in (old, "█") for old, new in zip(text, blanked, strict=True))
    assert re.findall("[\r\n]", blanked) == re.findall("[\r\n]", text)
    edges = [edge for _, *span in found for edge in span]
    assert edges == sorted(edges)
    assert all(set(blanked[start:end]) <= set("█\r\n") for _, start, end in found)
    assert bool(found) == (blanked != text)
    for token in TOKENS.values():
        for alone in re.finditer(rf"(?<![A-Za-z0-9_-]){re.escape(token)}(?![A-Za-z0-9_-])", text):
            assert set(blanked[slice(*alone.span())]) == {"█"}


@pytest.mark.parametrize("unit", [
    "-----BEGIN PRIVATE KEY-----\n", "-----BEGIN PRIVATE KEY-----" + "A" * 64, "A" * 40 + "n", "sk-",
    "sk-ant-",
    "eyJa.", "eyJaaaaaaaaaaa.", "eyJ-", "ghp_", "password", "password=", "password=aB3dE5gH7jK9mN1p",
    "://a:", "://",
    "<password>", "**password:** ", "password: aB3dE5gH7 ", "://u:aB3dE5gH7@", "://:", "pwd>", "password*",
    "bearer ", "token.", "password is ", "password is: ", "_pass_PASS=", "://u:a%20", "://u:{a}(@",
    "mot de passe : ", "://u:" + "aB" * 98 + "@", "password=" + "aB" * 90 + " ",
    "tokens", "TOKENS", "secretkey", "a" * 100, "Private-Lines: 1\n", "a1B2c3", "github_pat_a",
    "login a password ", "mysql ", "curl -u a:", "basic a", ":5432:a:b:", '"auth": "a', "client-key-data: a",
    "authorization: ", "MT", "whsec_", "1Q~a", "1:AA", "--password ", "identified by 'a", "dapi1a", "dapi1a ",
    "password: aB3dE5gH7jK9mN1p aB3dE5gH7jK9mN1p.", "sshpass -p ", "r8_a1b2c3d4e5f6g7h8i9 ", "-MT",
])  # fmt: skip
def test_time_is_linear_in_hostile_texts(unit):
    text = unit * (300_000 // len(unit))
    start = time.process_time()
    redact(text)
    assert time.process_time() - start < 4


@pytest.mark.parametrize("name", [
    "id_rsa", "id_ed25519", "server.key", "key.pem", "site-key.pem", "privkey1.pem", ".env", ".env.local",
    ".ENV",
    "prod.env", ".netrc", ".pgpass", "credentials.json", "client_secret_12.json", "vault.kdbx", "store.p12",
    "a.PFX",
    "secrets.yml", ".git-credentials", "a.ppk",
])  # fmt: skip
def test_files_that_are_secret_by_their_name(name):
    assert "by its name" in str(is_secret_file(name))


@pytest.mark.parametrize("name", [
    "id_rsa.pub", ".env.example", ".env.sample", "environment.md", "keyboard.md", "cert.pem", "chain.pem",
    "key.md",
    "secrets.md", "credentials.md", "a.py", "", "monkey", ".envrc.template", "secrets.py",
])  # fmt: skip
def test_files_that_are_not(name):
    assert is_secret_file(name) is None
