package key_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mllm4rec/runtime/serve/key"
)

const one, two = "0123456789abcdef", "fedcba9876543210"

func TestKeysOfAFileFindTheirOwners(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte("# ours\n\nshop:"+one+"\r\n app: "+two+" \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ring, err := key.Load(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string]string{one: "shop", two: "app", "": "", one[:15]: "", one + "0": ""} {
		owner, found := ring.Find(secret)
		if owner.Name != want || found != (want != "") {
			t.Errorf("%q is of %q, want %q", secret, owner.Name, want)
		}
	}
}

func TestWrongKeysAreRefusedAndNotRepeated(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                   "no key",
		"# none\n":                           "no key",
		one:                                  "line 1: write name:key",
		"a b:" + one:                         "line 1: write name:key",
		"\nshop:0123":                        "line 2: the key of shop has 4 characters; give it 16 or more",
		"shop:" + one + ",shop:" + two:       "line 2: shop is there twice",
		"shop:" + one + "\nother:" + one:     "has the key of shop",
		strings.Repeat("n", 65) + ":" + one:  "line 1: write name:key",
		"shop:" + strings.Repeat("x", 70000): "token too long",
	} {
		_, err := key.Parse(text, 0)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q gives %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), one) {
			t.Errorf("%v repeats a key", err)
		}
	}
}

func TestEachOwnerHasARateOfItsOwn(t *testing.T) {
	t.Parallel()
	ring, err := key.Parse("shop:"+one+",app:"+two, 2)
	if err != nil {
		t.Fatal(err)
	}
	shop, _ := ring.Find(one)
	app, _ := ring.Find(two)
	now := time.Now()
	for range 2 {
		if _, ok := shop.Allow(now); !ok {
			t.Fatal("refused within the rate")
		}
	}
	if wait, ok := shop.Allow(now); ok || wait < 400*time.Millisecond || wait > 600*time.Millisecond {
		t.Errorf("the third of two a second: allowed %v, wait %v, want half a second", ok, wait)
	}
	if _, ok := app.Allow(now); !ok {
		t.Error("another owner pays for it")
	}
	if _, ok := shop.Allow(now.Add(time.Second)); !ok {
		t.Error("refused a second later")
	}
}

func FuzzParseNeverPanics(f *testing.F) {
	f.Add("shop:" + one + ",app:" + two)
	f.Add("# x\n:\n::::")
	f.Fuzz(func(t *testing.T, text string) {
		if ring, err := key.Parse(text, 1); err == nil {
			if _, found := ring.Find(""); found {
				t.Error("the empty key is somebody's")
			}
		}
	})
}

func TestCommasPartKeysOfTheEnvironmentAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte("# the shop, the app\nshop:"+one+",#rest\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ring, err := key.Load(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	if owner, found := ring.Find(one + ",#rest"); !found || owner.Name != "shop" {
		t.Error("the key is not what the file has")
	}
	if _, found := ring.Find(one); found {
		t.Error("a part of the key is enough")
	}
}
