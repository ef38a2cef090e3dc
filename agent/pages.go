package main

import (
	"bufio"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// forgetStart gives the pages of the binary back that starting has touched: large libraries set themselves up whether they are used or
// not, and what they read for it would stay in the agent's resident memory. Code and constants only, which the kernel maps again
// from the page cache when they are needed.
func forgetStart(log *slog.Logger) {
	binary, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return // no proc of our own: nothing is lost but memory
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		f := strings.Fields(lines.Text()) // proc(5): from-to perms offset device inode path
		if len(f) < 6 || f[5] != binary || strings.Contains(f[1], "w") {
			continue
		}
		from, to, _ := strings.Cut(f[0], "-")
		begin, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if err1 != nil || err2 != nil || begin >= end {
			continue
		}
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, uintptr(begin), uintptr(end-begin), unix.MADV_DONTNEED); errno != 0 {
			log.Debug("give pages of the binary back", "error", errno)
		}
	}
}
