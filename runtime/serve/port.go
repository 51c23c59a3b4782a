package serve

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// port is the listener. A connection that the kernel has opened, and that was not taken yet, is reset when the port closes:
// its request would be lost.
type port struct{ net.Listener }

// Close closes the port when all connections are taken, or after a moment in which ever more come.
func (p port) Close() error {
	for until := time.Now().Add(linger); p.waiting() && time.Now().Before(until); {
		time.Sleep(100 * time.Microsecond)
	}
	return p.Listener.Close()
}

// waiting says that a connection is there to be taken.
func (p port) waiting() (there bool) {
	listener, is := p.Listener.(syscall.Conn)
	if !is {
		return false
	}
	raw, err := listener.SyscallConn()
	if err != nil {
		return false // it is closed
	}
	_ = raw.Control(func(fd uintptr) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		there = err == nil && n > 0
	})
	return there
}
