"""Declared encodings are used, others detected, and what is doubtful is noted."""

from __future__ import annotations

import email.message
import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minisearch.parsers import parse
from minisearch.parsers.encodings import charset_of, origin_of

JAPANESE = """
昨日の夜は雨が降っていたので、駅まで傘をさして歩いて行きました。
新しい図書館は来月の初めに開館する予定です。
味噌汁には豆腐とわかめを入れるのが一番おいしいと思います。
会議の資料は前日までに全員へ送ってください。
この機械は電源を切ってから掃除しないと危険です。
山の上から見た海の色は、写真よりもずっと青かった。
コンピューターの画面が急に暗くなり、何も表示されなくなりました。
子供たちは公園でボールを追いかけて遊んでいます。
"""
SIMPLIFIED = """
昨天晚上下了一场大雨，所以我们没有去公园散步。
新的图书馆下个月初就要对外开放了。
请在会议开始之前把所有的材料发给大家。
这台机器清洗以前必须先切断电源，否则非常危险。
从山顶上看到的大海比照片里的颜色更蓝。
他每天早上坐地铁去上班，路上要花四十分钟。
孩子们在院子里追着皮球跑来跑去，玩得很高兴。
电脑屏幕突然变黑了，什么也显示不出来。
"""
TRADITIONAL = """
昨天晚上下了一場大雨，所以我們沒有去公園散步。
新的圖書館下個月初就要對外開放了。
請在會議開始之前把所有的資料寄給大家。
這台機器清洗以前必須先切斷電源，否則非常危險。
從山頂上看到的大海比照片裡的顏色更藍。
他每天早上坐捷運去上班，路上要花四十分鐘。
孩子們在院子裡追著皮球跑來跑去，玩得很高興。
電腦螢幕突然變黑了，什麼也顯示不出來。
"""
KOREAN = """
어젯밤에 비가 많이 와서 우리는 공원에 가지 않았습니다.
새 도서관은 다음 달 초에 문을 열 예정입니다.
회의 자료는 전날까지 모두에게 보내 주세요.
이 기계는 전원을 끄고 나서 청소해야 안전합니다.
산 위에서 본 바다는 사진보다 훨씬 더 파랗습니다.
그는 매일 아침 지하철을 타고 회사에 갑니다.
아이들이 마당에서 공을 쫓아 뛰어다니고 있습니다.
컴퓨터 화면이 갑자기 어두워졌습니다.
"""
RUSSIAN = """
Вчера вечером шёл сильный дождь, поэтому мы не пошли гулять в парк.
Новая библиотека откроется в начале месяца.
Пожалуйста, отправьте все материалы участникам до начала совещания.
Перед чисткой прибор нужно отключить от сети.
С вершины горы море казалось гораздо синее, чем на фотографиях.
Каждое утро он едет на работу на метро.
Дети бегали по двору за мячом и громко смеялись.
Экран компьютера внезапно погас, и ничего не было видно.
"""
CZECH = """
Včera večer hustě pršelo, a proto jsme nešli na procházku do parku.
Nová knihovna se otevře začátkem příštího měsíce.
Před čištěním je nutné přístroj vypnout ze sítě.
Každé ráno jezdí do práce podzemní dráhou čtyřicet minut.
Děti běhaly po dvoře za míčem a hlasitě se smály.
Obrazovka počítače náhle zhasla a nebylo nic vidět.
"""
POLISH = """
Wczoraj wieczorem padał silny deszcz, więc nie poszliśmy na spacer.
Nowa biblioteka zostanie otwarta w przyszłym miesiącu.
Przed czyszczeniem należy odłączyć urządzenie od sieci.
Każdego ranka jeździ do pracy metrem, co zajmuje dużo czasu.
Dzieci biegały po podwórku za piłką i głośno się śmiały.
Ekran komputera nagle zgasł i niczego nie było widać.
"""
FRENCH = """
Hier soir, il a beaucoup plu et nous ne sommes pas allés nous promener.
La nouvelle bibliothèque ouvrira au début du mois.
Avant le nettoyage, l’appareil doit être débranché.
Chaque matin, il prend le métro pour aller à son travail, près du théâtre.
Les élèves couraient après le ballon et riaient très fort.
L’écran s’est éteint et on n’a plus rien vu à cause de ça.
"""
GERMAN = """
Gestern Abend hat es heftig geregnet, daher gingen wir nicht in den Park.
Die neue Bücherei öffnet Anfang nächsten Monats.
Vor der Reinigung muss das Gerät ausgeschaltet werden, sonst ist es gefährlich.
Er fährt jeden Morgen mit der U-Bahn, große Strecken.
Die Kinder liefen über den Hof dem Ball nach und waren sehr fröhlich.
Plötzlich wurde der Bildschirm schwarz, er müsste zurück.
"""
SPANISH = """
Anoche llovió mucho y por eso no salimos a pasear por el parque.
La nueva biblioteca abrirá a principios del próximo mes.
Antes de la limpieza hay que desconectar el aparato, también en otoño.
Cada mañana va en metro a la compañía donde trabajó su padre.
Los niños corrían detrás del balón y reían.
La pantalla se apagó de repente y así no se veía nada más.
"""
HEBREW = """
אתמול בערב ירד גשם חזק ולכן לא יצאנו לטייל בפארק.
הספרייה החדשה תיפתח בתחילת החודש הבא.
לפני הניקוי יש לנתק את המכשיר מהחשמל.
בכל בוקר הוא נוסע לעבודה ברכבת התחתית.
הילדים רצו בחצר אחרי הכדור וצחקו בקול רם.
מסך המחשב כבה פתאום ולא ראו דבר.
"""
ARABIC = """
هطل المطر بغزارة مساء أمس فلم نخرج للنزهة في الحديقة.
ستفتح المكتبة الجديدة أبوابها في بداية الشهر القادم.
يجب فصل الجهاز عن الكهرباء قبل التنظيف.
يذهب كل صباح إلى عمله بالقطار.
كان الأطفال يركضون خلف الكرة ويضحكون بصوت عال.
انطفأت شاشة الحاسوب فجأة ولم نعد نرى شيئا.
"""
THAI = """
เมื่อวานตอนเย็นฝนตกหนัก เราจึงไม่ได้ออกไปเดินเล่นในสวน
ห้องสมุดแห่งใหม่จะเปิดต้นเดือนหน้า
ก่อนทำความสะอาดต้องถอดปลั๊กเครื่อง
เขานั่งรถไฟใต้ดินไปทำงานทุกเช้า
เด็กๆ วิ่งตามลูกบอลในสนามและหัวเราะเสียงดัง
จอคอมพิวเตอร์ดับลงทันทีและมองไม่เห็นอะไรเลย
"""
WRITTEN_IN = {
    "cp1255": (HEBREW,),
    "cp1256": (ARABIC,),
    "iso8859-6": (ARABIC,),
    "cp874": (THAI,),
    "cp932": (JAPANESE,),
    "euc_jp": (JAPANESE,),
    "gbk": (SIMPLIFIED,),
    "big5": (TRADITIONAL,),
    "euc_kr": (KOREAN,),
    "koi8-r": (RUSSIAN,),
    "cp1251": (RUSSIAN,),
    "cp1250": (CZECH, POLISH),
    "cp1252": (FRENCH, GERMAN, SPANISH),
    "mac-roman": (FRENCH, GERMAN, SPANISH),
    "cp437": (GERMAN, SPANISH),
    "utf-16-le": (JAPANESE, RUSSIAN, FRENCH),
    "utf-16-be": (KOREAN, RUSSIAN, GERMAN),
}


def samples(encoding: str, n_bytes: int, n: int = 24):
    """Texts of sentences in a random order, cut at ``n_bytes``."""
    rng = random.Random(f"{encoding} {n_bytes}")
    for number in range(n):
        language = WRITTEN_IN[encoding][number % len(WRITTEN_IN[encoding])]
        sentences = language.split("\n")[1:-1]
        text = " ".join(rng.sample(sentences, len(sentences)) * (n_bytes // 200))
        while len(text.encode(encoding)) > n_bytes:
            text = text[:-1]
        yield text


@pytest.mark.parametrize("n_bytes", [200, 1_500])
@pytest.mark.parametrize("encoding", WRITTEN_IN)
def test_the_encoding_of_a_text_is_detected_and_named(encoding, n_bytes):
    texts = list(samples(encoding, n_bytes))
    n_right = 0
    for text in texts:
        document = parse("a.txt", text.encode(encoding))
        is_right = document.text == text
        n_right += is_right
        assert document.notes[0].startswith("not UTF-8; read as ")
        assert is_right or document.notes[0].endswith(", a guess")
    assert n_right >= 0.95 * len(texts)


@pytest.mark.parametrize("name, text, encoding", [
    ("a.txt", "会議は火曜日に行われます。検索できますか。", "cp932"),
    ("a.csv", "名前,住所\n山田,東京都港区\n佐藤,大阪府\n", "cp932"), ("a.txt", "Грачи прилетели.", "cp1251"),
    ("a.md", "Grüße aus Köln", "cp1252"), ("a.txt", "Żółta łódka płynie.", "cp1250"),
    ("a.txt", "Καλημέρα σας, τι κάνετε;", "cp1253"), ("a.txt", "การประชุมจะจัดขึ้นในวันอังคาร", "cp874"),
    ("a.txt", "הפגישה ביום שלישי בבוקר", "cp1255"), ("a.txt", "الاجتماع يوم الثلاثاء في القاعة", "cp1256"),
])  # fmt: skip
def test_short_texts_are_detected_too(name, text, encoding):
    document = parse(name, text.encode(encoding))
    said = "".join(char for char in document.text if not char.isascii())
    assert said == "".join(char for char in text if not char.isascii()) or encoding == "cp932"
    assert all(char in document.text for char in text if char not in "\n,")


@pytest.mark.parametrize("label, encoding, text", [
    ("shift_jis", "cp932", "会議の予定①"), ("x-sjis", "cp932", "会議"), ("gb2312", "gb18030", "会议镕"),
    ("ks_c_5601-1987", "cp949", "회의 똠"), ("iso-8859-1", "cp1252", "Grüße – 5 €"),
    ("big5", "cp950", "會議"),
    ("windows-1251", "cp1251", "Встреча"), ("euc-jp", "euc_jp", "会議"), ("KOI8-R", "koi8-r", "Встреча"),
    ("big5", "big5hkscs", "我哋嘅會議"), ("macintosh", "mac-roman", "Grüße"),
    ("iso-8859-9", "cp1254", "İş günü"),
])  # fmt: skip
def test_html_is_read_in_the_encoding_that_it_declares(label, encoding, text):
    equivalent = f'<META http-equiv=Content-Type content="text/html; charset={label}">'
    for meta in (f"<meta charset={label}>", f"<meta charset='{label}'/>", equivalent):
        page = f"<html><head>{meta}<title>{text}</title></head><body>{text} 1</body></html>"
        data = page.encode(encoding)
        document = parse("a.html", data)
        assert (document.title, document.text, document.notes) == (text, f"{text} 1", ())
        assert document.origin.source.encode(document.origin.encoding) == data


def test_xml_css_and_source_declare_their_encodings():
    coding = "# -*- coding: {} -*-", "# vim: set fileencoding={} :", "#!/bin/x\n# coding={}"
    for form in (*coding, ";; -*- mode: lisp; coding: {}-unix -*-", "// vim: ts=4 fenc={}"):
        data = form.format("koi8-r").encode() + "\nname = 'да'\n".encode("koi8-r")
        document = parse("a.pl", data)
        assert "'да'" in document.text and document.notes == (), form
    data = '<?xml version="1.0" encoding="windows-1251"?>\n<a>да</a>'.encode("cp1251")
    for name in ("a.xml", "a.html", "a.svg"):
        document = parse(name, data)
        assert "да" in document.text and document.notes == ()
    assert "да" in parse("a.css", '@charset "koi8-r";\n/* да */'.encode("koi8-r")).text


def test_a_wrong_or_unknown_declaration_is_noted():
    def page(label: str, text: str, encoding: str):
        return parse("a.html", f"<meta charset={label}><p>{text}".encode(encoding))

    long = "Приложение к договору о поставке"
    for document in (page("euc-jp", long, "cp1251"), page("klingon", long, "cp1251")):
        assert document.text == long
        assert "not UTF-8; read as Windows-1251" in document.notes[0]
    assert page("euc-jp", long, "cp1251").notes[0].startswith("declared as euc-jp, but is not; ")
    assert page("klingon", long, "cp1251").notes[0].startswith("declared as klingon, an unknown encoding; ")
    assert page("koi8-r", long, "utf-8").text == long
    assert page("koi8-r", long, "utf-8").notes == ("declared as koi8-r, but is not; read as UTF-8",)
    for label in ("utf-8", "klingon", "koi8-r"):
        assert page(label, "plain", "ascii").notes == ()
    assert parse("a.txt", "Coding: how to\n# coding: easy\né".encode()).notes == ()


def test_text_that_looks_like_utf_8_is_read_as_it_declares():
    data = "<meta charset=gbk><p>目".encode("gbk")
    data.decode("utf-8")
    assert parse("a.html", data).text == "目"


@pytest.mark.parametrize("encoding", ["iso2022_jp", "cp932"])
def test_positions_lead_to_the_bytes_of_encodings_with_several_forms(encoding):
    """ISO-2022-JP shifts between alphabets; two codes of Shift_JIS mean one character."""
    label = {"iso2022_jp": "iso-2022-jp", "cp932": "shift_jis"}[encoding]
    data = f"<meta charset={label}><p>会議は、</p>\n<p>火曜 ab</p>".encode(encoding)
    data += b"<p>\x87\x90</p>" if encoding == "cp932" else b""
    document = parse("a.html", data)
    assert document.text.startswith("会議は、\n\n火曜 ab") and document.notes == ()
    assert document.text.endswith("≒" if encoding == "cp932" else "ab")
    origin = document.origin
    assert origin.source.encode(origin.encoding, "surrogateescape") == data
    start = origin.anchors.source_position(document.text.index("ab"))
    assert data[start : start + 2] == b"ab"
    start = origin.anchors.source_position(document.text.index("曜"))
    assert "曜".encode("cp932") == data[start : start + 2] or encoding != "cp932"


def test_some_bad_bytes_are_counted_and_the_rest_is_read():
    text = "会議の資料は前日までに全員へ送ってください。" * 5
    document = parse("a.txt", text.encode("euc_jp") + b"\xff\n" + text.encode("euc_jp"))
    assert document.text == f"{text}\ufffd\n{text}"
    assert document.notes[1:] == ("1 byte is not valid EUC-JP",)
    document = parse("a.txt", "Grüße ".encode() * 5 + b"\xfc")
    assert document.notes == ("1 byte is not valid UTF-8",)


def test_zero_bytes_are_utf_16_only_where_they_make_a_text():
    assert parse("a.txt", "Two words\r\n".encode("utf-16-be")).text == "Two words\r\n"
    for data in (b"ab\0c", b"\1\0\2\0\3\0\4\0", bytes(range(256)), b"MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff\0\0"):
        with pytest.raises(Exception, match="binary file"):
            parse("a.txt", data)


def mail(charset: str, raw: bytes, more: bytes = b"") -> bytes:
    head = f"Subject: s\nContent-Type: text/plain{charset}\nContent-Transfer-Encoding: 8bit\n\n"
    return head.encode() + raw + more


def test_a_mail_that_is_decoded_by_its_character_set_has_no_note():
    for charset, encoding, text in (
        ("gb2312", "gbk", "会议在星期二。"), ("koi8-r", "koi8-r", "Встреча"), ("us-ascii", "utf-8", "Grüße"),
    ):  # fmt: skip
        document = parse("a.eml", mail(f"; charset={charset}", text.encode(encoding)))
        assert (document.text.partition("\n\n")[2], document.notes) == (text, ())
    parts = email.message.EmailMessage()
    parts["Subject"] = "Привет"
    parts.set_content("Первая часть", charset="koi8-r", cte="8bit")
    parts.add_attachment("第二部分", charset="gb18030", cte="8bit", filename="b.txt")
    parts.add_attachment("Grüße", charset="utf-8", cte="8bit", filename="c.txt")
    document = parse("a.eml", parts.as_bytes())
    assert all(text in document.text for text in ("Первая часть", "第二部分", "Grüße", "Привет"))
    assert document.notes == ()


def test_a_mail_without_a_right_character_set_is_detected_with_a_note():
    text = "Завтра мы встречаемся у входа в театр."
    for charset in ("", "; charset=us-ascii", "; charset=utf-8"):
        document = parse("a.eml", mail(charset, text.encode("koi8-r")))
        assert (document.text.partition("\n\n")[2], document.notes) == (text, ("not UTF-8; read as KOI8-R",))


def test_labels_of_browsers_are_known_and_other_codecs_are_not():
    known = {
        "utf8": "utf-8", "latin1": "cp1252", "iso_8859-1:1987": "cp1252", "x-cp1250": "cp1250",
        "csbig5": "cp950",
        "x-x-big5": "cp950", "windows-31j": "cp932", "ms_kanji": "cp932", "korean": "cp949",
        "windows-949": "cp949", "chinese": "gb18030", "x-gbk": "gb18030", "koi": "koi8-r",
        "x-euc-jp": "euc_jp",
        "x-mac-cyrillic": "mac-cyrillic", "tis-620": "cp874", "latin5": "cp1254", "iso-8859-15": "iso8859-15",
    }  # fmt: skip
    assert {label: charset_of(label) for label in known} == known
    assert [charset_of(label) for label in ("rot13", "zip", "idna", "", "x-", "a b")] == [None] * 6


@given(st.binary(max_size=300), st.sampled_from(["a.html", "a.py", "a.eml", "a.txt"]))
def test_any_bytes_have_an_encoding_that_gives_them_back(data, name):
    data = b"<meta charset=shift_jis># coding: big5\n" + data.replace(b"\0", b"")
    document = parse(name, data)
    origin = document.origin
    assert origin.source.encode(origin.encoding, "surrogateescape") == data[origin.n_bom_bytes :]


def test_utf_8_loads_no_detector_and_a_long_line_is_bounded():
    code = (
        "import sys; from minisearch.parsers import parse; parse('a.txt', 'Grüße'.encode());"
        "sys.exit('charset_normalizer' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    long = "なにもかも".encode("euc_jp") * 100_000
    assert origin_of(b"plain " * 100_000 + long)[0].encoding == "euc_jp"


def test_utf_16_in_a_page_that_is_read_as_ascii_means_utf_8():
    document = parse("a.html", "<meta charset=utf-16><p>Größe".encode())
    assert (document.text, document.notes) == ("Größe", ())
