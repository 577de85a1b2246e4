package tests

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// passwordHash finds what a password can be guessed by: the modular forms of crypt(3), argon2,
// scrypt, PBKDF2 and Apache's, and LDAP's.
var passwordHash = regexp.MustCompile(`\$(?:2[abxy]?\$\d\d|argon2(?:id|i|d)\$|scrypt\$|s[01]\$|pbkdf2[-a-z0-9]*\$|[156]\$|apr1\$|md5\$|sha1\$|y\$|gy\$|7\$)[./A-Za-z0-9$=,+_-]{8,}|\{(?:S?SHA(?:256|512)?|S?MD5|CRYPT)\}[A-Za-z0-9+/=$.]{16,}`)

// hashOfHiccup is a password's hash, for configurations of tests: that of the word hiccup.
const hashOfHiccup = "$2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG"

// TestNoPasswordHashes: who copies a configuration from a document must not take over a
// password that others can find.
func TestNoPasswordHashes(t *testing.T) {
	for _, hash := range []string{
		hashOfHiccup, "$2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy", "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub",
		"$6$rounds=5000$saltsalt$Zkx19XLiW6VYouLHR5Nm", "$5$saltsalt$Zkx19XLiW6VYouLHR5Nm", "$1$saltsalt$Zkx19XLiW6VYouLHR5Nm", "$apr1$saltsalt$Zkx19XLiW6VYouLHR5Nm1/",
		"$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7", "$7$C6..../....SodiumChloride$kBGj9fHznVYFQMEn", "$s0$e0801$epIxT/h6HbbwHaehFnh$",
		"$pbkdf2-sha256$29000$N2YMIWQsBWBMae09x1jrPQ$1t8iyB2A", "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVH", "{SSHA}MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0",
	} {
		if !passwordHash.MatchString("user " + hash + "\n") {
			t.Errorf("not seen: %s", hash)
		}
	}
	searched := 0
	for _, name := range treeFiles(t, "..") {
		file := filepath.Base(name)
		if !strings.HasSuffix(file, ".md") && !strings.Contains(file, "Caddyfile") && !strings.Contains(file, "Dockerfile") && !strings.HasPrefix(name, "deploy/") {
			continue
		}
		searched++
		if hash := passwordHash.FindString(readDoc(t, name)); hash != "" {
			t.Errorf("%s has the password hash %s: write {env.…} there", name, hash)
		}
	}
	if searched < 20 {
		t.Errorf("only %d files were searched", searched)
	}
}
