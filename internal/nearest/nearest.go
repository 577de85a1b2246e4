// Package nearest guesses which word was meant by one that is none, for messages
// such as "unknown option, did you mean client_secret?".
package nearest

import "strings"

// Word gives the candidate that word was probably meant to be: another spelling,
// a few slips of the pen away, or one that begins with, holds or is held by
// it. Of several equally near ones it is the first; "" if nothing is near.
func Word(word string, candidates []string) string {
	word = plain(word)
	if word == "" || len(word) > 40 {
		return ""
	}
	best, limit := "", slips(word)+1
	for _, candidate := range candidates {
		if d := Distance(word, plain(candidate)); d < limit {
			best, limit = candidate, d
		}
	}
	if best != "" {
		return best
	}
	return part(word, candidates)
}

// part finds the candidate that shares most with word, prefixes first.
func part(word string, candidates []string) string {
	const least = 3 // letters; fewer are in everything
	if len(word) < least {
		return ""
	}
	best, most := "", 0
	for _, candidate := range candidates {
		c := plain(candidate)
		if len(c) < least {
			continue
		}
		score := 0
		switch {
		case strings.HasPrefix(c, word) || strings.HasPrefix(word, c):
			score = 1000
		case strings.Contains(c, word) || strings.Contains(word, c):
			score = 500
		default:
			continue
		}
		// The shorter the rest, the nearer.
		if score -= max(len(c), len(word)) - min(len(c), len(word)); score > most {
			best, most = candidate, score
		}
	}
	return best
}

// plain makes spellings alike: MaxFails, max-fails and max_fails.
func plain(s string) string {
	return strings.NewReplacer("_", "", "-", "", ".", "", " ", "").Replace(strings.ToLower(s))
}

// slips is how many slips a word of that length may hold.
func slips(word string) int {
	switch {
	case len(word) <= 4:
		return 1
	case len(word) <= 6:
		return 2
	}
	return 3
}

// Distance counts the insertions, deletions, replacements and swaps of neighbours
// that lead from a to b.
func Distance(a, b string) int {
	before, last := []int(nil), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
