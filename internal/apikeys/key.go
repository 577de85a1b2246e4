package apikeys

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strings"
)

// prefix lets people and scanners for secrets know a key when they see one.
const prefix = "czk_"

// minLength is that of a presented key. 32 random bytes are longer in every spelling; most
// passwords are shorter, and a digest of one is soon guessed.
const minLength = 32

// maxLength bounds what is hashed of what a caller sends.
const maxLength = 512

// New makes a key of 32 random bytes, and the digest that a file of keys holds.
func New() (key, sha256Hex string) {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails
	key = prefix + base64.RawURLEncoding.EncodeToString(random[:])
	d := sha256.Sum256([]byte(key))
	return key, hex.EncodeToString(d[:])
}

// Mask takes keys out of a text that a caller has written, where none belongs.
func Mask(text string) string {
	if !strings.Contains(text, prefix) {
		return text
	}
	return keys.ReplaceAllString(text, "REDACTED")
}

var keys = regexp.MustCompile(prefix + `[0-9A-Za-z_-]+`)

// LooksLikeKey reports whether a text is a key as New makes them.
func LooksLikeKey(text string) bool { return strings.HasPrefix(text, prefix) }
