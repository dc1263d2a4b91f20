package smtp

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // CRAM-MD5 is made of it
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-sasl"
)

// mechanisms are the logins that the receiver knows, each as a server of it.
var mechanisms = map[string]func() sasl.Server{
	sasl.Plain: func() sasl.Server {
		return sasl.NewPlainServer(func(_, u, p string) error { return right(u == user && p == password) })
	},
	sasl.Login:      func() sasl.Server { return &loginServer{} },
	"CRAM-MD5":      func() sasl.Server { return &cramServer{} },
	"SCRAM-SHA-256": func() sasl.Server { return &scramServer{} },
}

func right(ok bool) error {
	if !ok {
		return errors.New("wrong login")
	}
	return nil
}

// loginServer is LOGIN (draft-murchison-sasl-login).
type loginServer struct{ said []string }

func (s *loginServer) Next(response []byte) ([]byte, bool, error) {
	if response != nil {
		s.said = append(s.said, string(response))
	}
	switch len(s.said) {
	case 0:
		return []byte("Username:"), false, nil
	case 1:
		return []byte("Password:"), false, nil
	}
	return nil, true, right(s.said[0] == user && s.said[1] == password)
}

// cramServer is CRAM-MD5 (RFC 2195).
type cramServer struct{ asked bool }

func (s *cramServer) Next(response []byte) ([]byte, bool, error) {
	const challenge = "<1896.697170952@localhost>"
	if !s.asked {
		s.asked = true
		return []byte(challenge), false, nil
	}
	mac := hmac.New(md5.New, []byte(password))
	mac.Write([]byte(challenge))
	return nil, true, right(string(response) == fmt.Sprintf("%s %x", user, mac.Sum(nil)))
}

// scramServer is SCRAM-SHA-256 without channel binding (RFC 5802, RFC 7677).
type scramServer struct {
	step             int
	first, challenge string
}

func (s *scramServer) Next(response []byte) ([]byte, bool, error) {
	s.step++
	switch s.step {
	case 1:
		return nil, false, nil // the client has to begin
	case 2:
		bare, ok := strings.CutPrefix(string(response), "n,,")
		name, nonce, there := strings.Cut(bare, ",r=")
		if !ok || !there || name != "n="+user {
			return nil, false, right(false)
		}
		s.first = bare
		s.challenge = "r=" + nonce + "server,s=" + base64.StdEncoding.EncodeToString([]byte("salt")) + ",i=4096"
		return []byte(s.challenge), false, nil
	case 3:
		return s.prove(string(response))
	}
	return nil, true, nil
}

// prove checks the proof of the client and returns that of the server.
func (s *scramServer) prove(response string) ([]byte, bool, error) {
	unproven, proof, ok := strings.Cut(response, ",p=")
	nonce, _, _ := strings.Cut(s.challenge, ",")
	if !ok || unproven != "c=biws,"+nonce {
		return nil, false, right(false)
	}
	salted, err := pbkdf2.Key(sha256.New, password, []byte("salt"), 4096, sha256.Size)
	if err != nil {
		return nil, false, err
	}
	sign := func(key []byte, text string) []byte {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
	all := s.first + "," + s.challenge + "," + unproven
	key := sign(salted, "Client Key")
	stored := sha256.Sum256(key)
	for i, b := range sign(stored[:], all) {
		key[i] ^= b
	}
	given, err := base64.StdEncoding.DecodeString(proof)
	if err != nil || !bytes.Equal(given, key) {
		return nil, false, right(false)
	}
	return []byte("v=" + base64.StdEncoding.EncodeToString(sign(sign(salted, "Server Key"), all))), false, nil
}
