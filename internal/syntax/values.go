package syntax

import (
	"strconv"

	"github.com/dustin/go-humanize"
)

// CheckNumber wants a whole number that is not negative.
func CheckNumber(l *Line) error {
	if n, err := strconv.Atoi(l.Args[0]); err != nil || n < 0 {
		return l.Errorf("%s: %s must be a whole number of at least 0", l.Word, Show("the value", l.Args[0]))
	}
	return nil
}

// ParseSize reads sizes as Caddy does: 1MiB, 64KB, or bytes without a unit.
func ParseSize(l *Line, text string, most uint64) (int64, error) {
	n, err := humanize.ParseBytes(text)
	if err != nil {
		return 0, l.Errorf(
			"%s: %s is not a size: write a number and a unit, as in 64KiB or 1MiB",
			l.Word,
			Show("the value", text),
		)
	}
	if n > most {
		return 0, l.Errorf(
			"%s: %s is more than the maximum here, %s",
			l.Word,
			text,
			humanize.IBytes(most),
		)
	}
	return int64(n), nil
}
