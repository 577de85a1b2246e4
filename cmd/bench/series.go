package main

import (
	"fmt"
	"slices"
)

// series are measurements of one thing.
type series []float64

func (s series) sorted() series { return slices.Sorted(slices.Values(s)) }

// at is the value below which that part of the measurements is.
func (s series) at(part float64) float64 {
	sorted := s.sorted()
	return sorted[min(len(sorted)-1, int(part*float64(len(sorted))))]
}

func (s series) median() float64 {
	sorted := s.sorted()
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// text is the median, and the 99th percentile.
func (s series) text() string { return fmt.Sprintf("%.0f (%.0f)", s.median(), s.at(0.99)) }

// interval is where the median is with a probability of 95 %, whatever the distribution: between two
// measurements that are as far from the ends as coin tosses say.
func (s series) interval() (from, to float64) {
	sorted := s.sorted()
	n := len(sorted)
	chance, below, k := 1.0, 0.0, 0 // of exactly k heads among n, times 2^n
	total := 1.0
	for range n {
		total *= 2
	}
	for below+chance <= 0.025*total && k < n/2 {
		below += chance
		chance = chance * float64(n-k) / float64(k+1)
		k++
	}
	return sorted[max(0, k-1)], sorted[min(n-1, n-k)]
}
