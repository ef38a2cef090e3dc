// Package exits tells at once when a watched process ends.
//
// A container's cgroup outlives its last process by tens to hundreds of milliseconds, the engine's own event often comes after it
// is gone; whoever wants the final counters has to hear of the exit from the kernel. A pidfd becomes readable when its process
// ends (pidfd_open(2), Linux 5.3); all of them wait in one epoll set, so an idle node costs nothing.
package exits

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// ErrUnsupported means that the kernel has no pidfd: exits are then learnt from the engine's events alone.
var ErrUnsupported = errors.New("the kernel has no pidfd_open (Linux 5.3)")

// ErrFull means that as many processes are watched as the limit allows.
var ErrFull = errors.New("limit of watched processes reached")

// Watcher watches processes, each under a key of the caller's. Safe for concurrent use.
type Watcher[K comparable] struct {
	limit int
	epoll int
	wake  int // eventfd that ends Run

	mu   sync.Mutex
	fds  map[K]int32
	keys map[int32]K
}

// New returns a watcher of at most limit processes.
func New[K comparable](limit int) (*Watcher[K], error) {
	probe, err := unix.PidfdOpen(os.Getpid(), 0)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		return nil, ErrUnsupported
	}
	if err != nil {
		return nil, fmt.Errorf("pidfd_open: %w", err)
	}
	unix.Close(probe)
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(wake)})
	}
	if err != nil {
		unix.Close(epoll)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	return &Watcher[K]{limit: limit, epoll: epoll, wake: wake, fds: map[K]int32{}, keys: map[int32]K{}}, nil
}

// Watch begins to watch pid under key, in place of what was watched under it. ended is true when the process is gone already.
func (w *Watcher[K]) Watch(key K, pid int) (ended bool, err error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("pidfd_open %d: %w", pid, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget(key)
	if len(w.fds) >= w.limit {
		unix.Close(fd)
		return false, ErrFull
	}
	if err := unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
		unix.Close(fd)
		return false, fmt.Errorf("watch process %d: %w", pid, err)
	}
	w.fds[key], w.keys[int32(fd)] = int32(fd), key
	return false, nil
}

// Forget ends the watch under key, if there is one.
func (w *Watcher[K]) Forget(key K) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget(key)
}

func (w *Watcher[K]) forget(key K) {
	if fd, ok := w.fds[key]; ok {
		delete(w.fds, key)
		delete(w.keys, fd)
		unix.Close(int(fd)) // closing takes it out of the epoll set
	}
}

// Watched is the number of processes watched now.
func (w *Watcher[K]) Watched() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.fds)
}

// Run calls ended for every watched process that ends, once, until ctx ends. It must be called once; it closes the watcher.
func (w *Watcher[K]) Run(ctx context.Context, ended func(key K)) error {
	stop := context.AfterFunc(ctx, func() { unix.Write(w.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) })
	defer w.close()
	defer stop()
	events := make([]unix.EpollEvent, 64)
	for ctx.Err() == nil {
		n, err := unix.EpollWait(w.epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("epoll_wait: %w", err)
		}
		for i := range max(n, 0) {
			w.mu.Lock()
			key, known := w.keys[events[i].Fd]
			if known = known && readable(events[i].Fd); known {
				w.forget(key)
			}
			w.mu.Unlock()
			if known {
				ended(key)
			}
		}
	}
	return nil
}

// readable asks once more: between epoll_wait and here the descriptor may have been closed and its number given to another process.
func readable(fd int32) bool {
	set := []unix.PollFd{{Fd: fd, Events: unix.POLLIN}}
	n, err := unix.Poll(set, 0)
	return err == nil && n == 1 && set[0].Revents&unix.POLLIN != 0
}

func (w *Watcher[K]) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key := range w.fds {
		w.forget(key)
	}
	unix.Close(w.epoll)
	unix.Close(w.wake)
}
