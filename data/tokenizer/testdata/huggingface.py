"""Makes tokenizers of many kinds with Hugging Face's library, and says how it encodes texts of many kinds.

huggingface.py FOLDER [tokenizer.json ...]: writes NAME/tokenizer.json and NAME.json ({"vectors": [...]}) into FOLDER.
"""
import functools, json, os, random, sys, unicodedata
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace("{1,3}", "")

WORDS = """the of and to in a is that it Star Wars Toy Story (1995) Amélie naïve café Ünïcödé façade Žižek señor Straße İstanbul
 ſs ﬁn Владимир Ёлка Ελληνικά العربية من اليمين עברית हिन्दी ไทย 日本語 千と千尋の神隠し 中文字符 한국어 조선 ᄒ ᅡ ᆫ e\u0301 a\u0308\u0323 o\u0302\u0301 Å ½ ² Ⅷ ٣٤ １２ ৩
 don't I'M we'LL you've 'tis THEY'RE it'ſ 's' 'd'' 007 1984 3.14 1,000,000 2001: x² {"a": 1} </br> C++ -- ... !!! ?! #1 $5 100% & @ ~ ^ _ ` | \\ / * = + [ ] < >
 😀 👩‍👩‍👧 🇩🇪 👍🏽 ❤️ ♥ ™ © ▁ ▁▁ a▁b <0x0A> <s> <unk> <|x|> <|left|> <|right|> <tool> <|x <|x|>> Ġ Ċ ā""".split()
SPACES = [" ", " ", " ", " ", "", "", "  ", "   ", "\n", "\r\n", "\n\n", " \n", "\n ", "\t", "\r", "\u00a0", "\u3000", "\u2028", "\u200b",
          "\x85", "\x1c", "\x0b", "\x00", "\ufeff", " " * 30, "\u0301"]


@functools.cache
def boundaries():
    """Characters where one class ends and the next begins: where versions of Unicode would show."""
    kind = lambda c: unicodedata.category(chr(c))[0] + str(chr(c).isspace())
    return [chr(d) for c in range(1, 0x110000) if kind(c) != kind(c - 1) for d in (c - 1, c) if not 0xD800 <= d < 0xE000]


def texts(count):
    edge = boundaries()
    pick = lambda: random.choice(random.choice((WORDS, WORDS, WORDS, edge, "abcdefghijklmnopqrstuvwxyz' .,0123456789")))
    fixed = ["", " ", "  ", "\n", "a", "<|x|>", " <|x|> ", "<|x|><tool>a", "x" * 500, "ab" * 200, "é" * 100, "1" * 50, "a\n\n\n b", "\u0301", "'"]
    made = fixed + ["".join(pick() + random.choice(SPACES) for _ in range(random.randrange(1, 25))) for _ in range(count)]
    # The library's NFC is of Unicode 13; Python's and ours are newer.
    return [text for text in made if normalizers.NFC().normalize_str(text) == unicodedata.normalize("NFC", text)]


def bpe(pre, normalizer=None, byte_level=True, unk=None, fuse=False, fallback=False, ignore=False, trained=None, decoder=None):
    t = Tokenizer(models.BPE(unk_token=unk, fuse_unk=fuse, byte_fallback=fallback, ignore_merges=ignore))
    t.pre_tokenizer = trained or pre
    special = [unk] if unk else []
    special += ["<0x%02X>" % b for b in range(256)] if fallback else []
    alphabet = pre_tokenizers.ByteLevel.alphabet() if byte_level else []
    corpus = [text.replace("<", "") for text in texts(500)]  # no merge makes markup
    t.train_from_iterator(corpus, trainers.BpeTrainer(
        vocab_size=1500 + len(special), initial_alphabet=alphabet, special_tokens=special, limit_alphabet=300, show_progress=False))
    if fallback:  # bytes are not to be found as markup
        j = json.loads(t.to_str())
        j["added_tokens"] = [a for a in j["added_tokens"] if a["content"] == unk]
        t = Tokenizer.from_str(json.dumps(j))
    if pre is None:
        j = json.loads(t.to_str())
        j["pre_tokenizer"] = None
        t = Tokenizer.from_str(json.dumps(j))
    else:
        t.pre_tokenizer = pre
    if normalizer:
        t.normalizer = normalizer
    t.decoder = decoder or decoders.ByteLevel()
    t.add_special_tokens(["<|x|>", AddedToken("<|left|>", lstrip=True), AddedToken("<|right|>", rstrip=True)])
    t.add_tokens([AddedToken("<tool>", normalized=False)])
    return t


def pieces(**options):
    seq = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    options.setdefault("decoder", decoders.Sequence(seq))
    return bpe(byte_level=False, unk="<unk>", trained=pre_tokenizers.Metaspace(), **options)


def variants():
    P, N = pre_tokenizers, normalizers
    level = lambda regex=True, space=False: P.ByteLevel(add_prefix_space=space, use_regex=regex)
    split = lambda regex, how="isolated", invert=False: P.Split(Regex(regex), how, invert)
    meta = lambda scheme, split: P.Metaspace("▁", scheme, split)
    llama = N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")])
    yield "gpt2", bpe(level())
    yield "llama3", bpe(P.Sequence([split(LLAMA3), level(False)]), ignore=True)
    yield "qwen2", bpe(P.Sequence([split(QWEN2), level(False)]), normalizer=N.NFC())
    yield "removed", bpe(P.Sequence([split(QWEN2, "removed", True), level(False)]))
    yield "smollm", bpe(P.Sequence([P.Digits(True), level()]))
    yield "digits", bpe(P.Sequence([split(GPT2), P.Digits(False), level(False, True)]))
    yield "wordless", bpe(level(False))
    for scheme in ("always", "first", "never"):
        for cut in (True, False):
            decoder = decoders.Metaspace("▁", scheme, cut)
            yield f"metaspace-{scheme}-{cut}", pieces(pre=meta(scheme, cut), decoder=decoder, fuse=cut)
    yield "llama2-style", pieces(pre=None, normalizer=llama, fuse=True, fallback=True)
    yield "llama2-nfc", pieces(pre=None, normalizer=N.Sequence([N.Prepend("▁"), N.NFC(), N.Replace(" ", "▁")]), fallback=True)


def vector(t, plain, text):
    ids = t.encode(text, add_special_tokens=False).ids
    return {"text": text, "ids": ids, "plain": plain.encode(text, add_special_tokens=False).ids,
            "decoded": t.decode(ids), "markup": t.decode(ids, skip_special_tokens=False)}


def main(folder, files):
    random.seed(1)
    named = list(variants()) + [(os.path.basename(os.path.dirname(f)), Tokenizer.from_file(f)) for f in files]
    for name, t in named:
        os.makedirs(os.path.join(folder, name), exist_ok=True)
        t.save(os.path.join(folder, name, "tokenizer.json"))
        j = json.loads(t.to_str())
        j["added_tokens"] = []
        plain = Tokenizer.from_str(json.dumps(j))
        with open(os.path.join(folder, name + ".json"), "w") as f:
            json.dump({"vectors": [vector(t, plain, text) for text in texts(600)]}, f)


main(sys.argv[1], sys.argv[2:])
