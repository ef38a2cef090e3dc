package main

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
)

func TestWhatStartingTouchedIsGivenBack(t *testing.T) {
	resident := func() (kib int) {
		text, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Skip(err)
		}
		_, rest, found := strings.Cut(string(text), "RssFile:")
		if !found {
			t.Skip("this kernel does not tell file pages from others")
		}
		fmt.Sscan(rest, &kib)
		return kib
	}
	before := resident()
	forgetStart(slog.New(slog.DiscardHandler))
	if after := resident(); after >= before {
		t.Errorf("%d KiB of files resident, %d before", after, before)
	}
}
