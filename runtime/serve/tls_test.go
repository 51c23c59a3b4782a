package serve_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mllm4rec/runtime/serve"
	"mllm4rec/runtime/serve/servetest"
)

// certificate writes one for 127.0.0.1 and its key, and returns who trusts it.
func certificate(t *testing.T) (cert, key string, trust *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key, trust = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), x509.NewCertPool()
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	trust.AppendCertsFromPEM(public)
	for path, text := range map[string][]byte{cert: public, key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key, trust
}

func TestTLSIsSpokenWithACertificate(t *testing.T) {
	t.Parallel()
	o := options(&servetest.Fake{})
	var trust *x509.CertPool
	o.TLSCert, o.TLSKey, trust = certificate(t)
	r := runServer(t, o)
	if !strings.HasPrefix(r.url, "https://") {
		t.Errorf("it says %s", r.url)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	response, err := client.Post(r.url+"/v1/rank", "application/json", strings.NewReader(ranking))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK || response.ProtoMajor != 2 {
		t.Errorf("%s %s", response.Proto, response.Status)
	}
}

func TestAReloadReadsTheCertificateAgainAndKeepsTheOldWhereItIsBroken(t *testing.T) {
	t.Parallel()
	o := options(&servetest.Fake{})
	o.TLSCert, o.TLSKey, _ = certificate(t)
	r := runServer(t, o)
	cert, key, trust := certificate(t)
	for from, to := range map[string]string{cert: o.TLSCert, key: o.TLSKey} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	answers := func() error {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}, DisableKeepAlives: true}}
		response, err := client.Get(r.url + "/healthz")
		if err == nil {
			response.Body.Close()
		}
		return err
	}
	if err := answers(); err == nil {
		t.Error("the new certificate is there before the reload")
	}
	if err := r.server.Reload(t.Context()); err != nil {
		t.Error(err)
	}
	if err := answers(); err != nil {
		t.Error(err)
	}
	if err := os.Remove(o.TLSKey); err != nil {
		t.Fatal(err)
	}
	if err := r.server.Reload(t.Context()); err == nil {
		t.Error("a certificate without its key was taken")
	}
	if err := answers(); err != nil {
		t.Errorf("behind a reload that failed: %v", err)
	}
}

func TestWrongOptionsAreToldBeforeTheStart(t *testing.T) {
	t.Parallel()
	cert, _, _ := certificate(t)
	for want, change := range map[string]func(*serve.Options){
		"both a certificate and its key": func(o *serve.Options) { o.TLSCert = cert },
		"TLS: ":                          func(o *serve.Options) { o.TLSCert, o.TLSKey = cert, cert },
		`"shop.example"`:                 func(o *serve.Options) { o.Origins = []string{"shop.example"} },
		`"https://shop.example/x"`:       func(o *serve.Options) { o.Origins = []string{"https://shop.example/x"} },
	} {
		o := options(&servetest.Fake{})
		change(&o)
		if _, err := serve.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
