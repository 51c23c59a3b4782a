package serve

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func FuzzRefReadsWhatItWrites(f *testing.F) {
	for _, seed := range []string{`1`, `"a"`, `""`, `0`, `-1`, `1.0`, `1e3`, `null`, `{}`, `2147483648`, `"\ud800"`, `true`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var ref Ref
		if err := json.Unmarshal(raw, &ref); err != nil {
			return
		}
		if ref.ID < 0 || (ref.ID == 0) == (ref.Source == "") {
			t.Fatalf("%s became %+v", raw, ref)
		}
		text, err := json.Marshal(ref)
		if err != nil {
			t.Fatal(err)
		}
		var again Ref
		if err := json.Unmarshal(text, &again); err != nil || again != ref {
			t.Errorf("%+v became %+v: %v", ref, again, err)
		}
	})
}

func FuzzDocumentIsATextOrHoldsOne(f *testing.F) {
	for _, seed := range []string{`"a"`, `{"text":"a"}`, `{"text":null}`, `{}`, `null`, `1`, `{"text":"a","title":"b"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var document Document
		if err := json.Unmarshal(raw, &document); err != nil {
			return
		}
		if text := strings.TrimSpace(string(raw)); text[0] != '"' && text[0] != '{' {
			t.Errorf("%s became %+v", raw, document)
		}
	})
}

// FuzzBodiesAreReadOrRefused reads bytes as every body that there is: what is refused is a mistake of the client.
func FuzzBodiesAreReadOrRefused(f *testing.F) {
	for _, seed := range []string{
		`{"query":"a","texts":["b"]}`, `{"query":"a","documents":["b",{"text":"c"}],"top_n":1}`, `{"history":[1,"a"],"k":3}`, `{"history":[1],"candidates":[2]}`,
		`{"k":1e400}`, `{"a":`, `[[[[`, "{\"query\":\"\xff\"}", `{"query":"a","query":"b"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, into := range []any{&RerankBody{}, &RecommendRequest{}, &RetrieveRequest{}, &RankRequest{}} {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body)))
			r.Header.Set("Content-Type", "application/json")
			err := readJSON(r, into)
			if err == nil {
				continue
			}
			if wrong := mistake(t.Context(), err); wrong.Status != http.StatusBadRequest || wrong.Code != codeBadRequest || wrong.Detail == "" {
				t.Errorf("%q: %+v", body, wrong)
			}
		}
	})
}

func FuzzTimeoutIsAboveZeroOrRefused(f *testing.F) {
	for _, seed := range []string{"1", "0.5", "500ms", "1h", "-1", "0", "NaN", "Inf", "-Inf", "1e400", "1e-400", "9999999999999", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if limit, err := parseTimeout(text); err == nil && limit <= 0 {
			t.Errorf("%q became %v", text, limit)
		}
	})
}

// FuzzPicturesAreReadOrRefused reads bytes as a multipart body.
func FuzzPicturesAreReadOrRefused(f *testing.F) {
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a\"\r\n\r\nabc\r\n--b--\r\n"))
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\n"))
	f.Add([]byte("--b--"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body)))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		picture, err := readPicture(r)
		if err == nil && len(picture) == 0 {
			t.Error("no picture, and no error")
		}
		if err != nil && mistake(t.Context(), err).Status != http.StatusBadRequest {
			t.Errorf("%q: %v", body, err)
		}
	})
}
