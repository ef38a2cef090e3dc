package server

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestOneAddressCanNotTakeAllConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := newCrowd(l, 2)
	accepted := make(chan net.Conn, 4)
	go func() {
		for {
			conn, err := c.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	dial := func(from string) net.Conn {
		t.Helper()
		conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	dial("127.0.0.1")
	dial("127.0.0.1")
	third := dial("127.0.0.1")
	third.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := third.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the third connection stays open: %v", err)
	}
	dial("127.0.0.2")
	first := <-accepted
	<-accepted
	if from := (<-accepted).RemoteAddr().(*net.TCPAddr).IP.String(); from != "127.0.0.2" {
		t.Errorf("the other address is %s", from)
	}
	if got := testutil.ToFloat64(c.refused); got != 1 {
		t.Errorf("%v refused", got)
	}
	first.Close()
	first.Close() // counts once
	dial("127.0.0.1")
	if from := (<-accepted).RemoteAddr().(*net.TCPAddr).IP.String(); from != "127.0.0.1" {
		t.Errorf("after one is closed: %s", from)
	}
	if n := c.open[first.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()]; n != 2 {
		t.Errorf("%d connections are counted", n)
	}
}
