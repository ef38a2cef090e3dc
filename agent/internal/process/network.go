package process

import (
	"bufio"
	"bytes"
	"os"
	"slices"
	"strconv"
)

// TCPStat is one figure of net/snmp or net/netstat, under the name cAdvisor gives it.
type TCPStat struct {
	Name  string // lower case: "retranssegs"
	Value uint64
}

// tcpStats are the figures worth a series: what goes wrong with connections, and how many there are to compare with.
// https://docs.kernel.org/networking/snmp_counter.html
var tcpStats = [...]struct{ file, prefix, key, name string }{
	{"net/snmp", "Tcp:", "ActiveOpens", "activeopens"},
	{"net/snmp", "Tcp:", "PassiveOpens", "passiveopens"},
	{"net/snmp", "Tcp:", "AttemptFails", "attemptfails"},
	{"net/snmp", "Tcp:", "EstabResets", "estabresets"},
	{"net/snmp", "Tcp:", "CurrEstab", "currestab"},
	{"net/snmp", "Tcp:", "InSegs", "insegs"},
	{"net/snmp", "Tcp:", "OutSegs", "outsegs"},
	{"net/snmp", "Tcp:", "RetransSegs", "retranssegs"},
	{"net/snmp", "Tcp:", "InErrs", "inerrs"},
	{"net/snmp", "Tcp:", "OutRsts", "outrsts"},
	{"net/netstat", "TcpExt:", "ListenOverflows", "listenoverflows"},
	{"net/netstat", "TcpExt:", "ListenDrops", "listendrops"},
	{"net/netstat", "TcpExt:", "TCPLostRetransmit", "tcplostretransmit"},
	{"net/netstat", "TcpExt:", "TCPTimeouts", "tcptimeouts"},
	{"net/netstat", "TcpExt:", "TCPSynRetrans", "tcpsynretrans"},
	{"net/netstat", "TcpExt:", "TCPRetransFail", "tcpretransfail"},
	{"net/netstat", "TcpExt:", "TCPAbortOnMemory", "tcpabortonmemory"},
	{"net/netstat", "TcpExt:", "TCPAbortOnTimeout", "tcpabortontimeout"},
	{"net/netstat", "TcpExt:", "TCPBacklogDrop", "tcpbacklogdrop"},
	{"net/netstat", "TcpExt:", "TCPReqQFullDrop", "tcpreqqfulldrop"},
}

// TCPStats appends the figures of the network namespace of pid to dst; those the kernel does not have are left out.
func (p *Proc) TCPStats(dst []TCPStat, pid int) []TCPStat {
	var keys, values [][]byte
	open := ""
	for _, s := range tcpStats {
		if s.file != open {
			open, keys, values = s.file, nil, nil
			b, err := p.read(p.path(pid, s.file))
			if err == nil {
				if keys, values = twoLines(b, s.prefix); len(values) != len(keys) || len(keys) == 0 {
					keys, err = nil, errMalformed
				}
			}
			p.fault(s.file, err)
		}
		i := slices.IndexFunc(keys, func(key []byte) bool { return string(key) == s.key })
		if i < 0 {
			continue
		}
		if v, err := strconv.ParseUint(string(values[i]), 10, 63); err == nil {
			dst = append(dst, TCPStat{s.name, v})
		} else {
			p.fault(s.file, errMalformed)
		}
	}
	return dst
}

// twoLines finds "Tcp: RtoAlgorithm …" and, after it, "Tcp: 1 …".
func twoLines(b []byte, prefix string) (keys, values [][]byte) {
	for len(b) > 0 {
		line := firstLine(b)
		b = b[min(len(line)+1, len(b)):]
		fields := bytes.Fields(line)
		if len(fields) == 0 || string(fields[0]) != prefix {
			continue
		}
		if keys == nil {
			keys = fields
			continue
		}
		return keys, fields
	}
	return nil, nil
}

// TCPStates counts sockets by state, in the order of TCPStateNames.
type TCPStates [len(tcpStates)]int

// tcpStates are the states in the kernel's order from 1 on (net/tcp_states.h), under cAdvisor's names.
var tcpStates = [...]string{"established", "synsent", "synrecv", "finwait1", "finwait2", "timewait", "close", "closewait", "lastack", "listen", "closing"}

// TCPStateNames are the values of the label tcp_state.
func TCPStateNames() []string { return tcpStates[:] }

// TCPStates counts the lines of net/tcp or net/tcp6 of pid's network namespace; false where there is no such file, or a line is no socket.
func (p *Proc) TCPStates(pid int, file string) (TCPStates, bool) {
	var states TCPStates
	ok := p.lines(pid, file, func(fields [][]byte) bool {
		state, err := strconv.ParseUint(string(fields[3]), 16, 8)
		if err != nil || state == 0 {
			return false
		}
		const newSynRecv = 12 // a request socket on its way to synrecv
		if state == newSynRecv {
			state = 3
		}
		if int(state) <= len(states) {
			states[state-1]++
		}
		return true
	})
	return states, ok
}

// UDPSockets sums up the UDP sockets of a network namespace.
type UDPSockets struct {
	Sockets, Dropped, ReceiveQueued, TransmitQueued uint64 // count, datagrams, bytes, bytes
}

// UDPSockets reads net/udp or net/udp6 of pid's network namespace; false where there is no such file, or a line is no socket.
func (p *Proc) UDPSockets(pid int, file string) (UDPSockets, bool) {
	var u UDPSockets
	ok := p.lines(pid, file, func(fields [][]byte) bool {
		if len(fields) < 13 {
			return false
		}
		transmit, receive, _ := bytes.Cut(fields[4], []byte(":"))
		tx, err := strconv.ParseUint(string(transmit), 16, 64)
		rx, err2 := strconv.ParseUint(string(receive), 16, 64)
		drops, err3 := strconv.ParseUint(string(fields[12]), 10, 64)
		if err != nil || err2 != nil || err3 != nil {
			return false
		}
		u.Sockets++
		u.TransmitQueued += tx
		u.ReceiveQueued += rx
		u.Dropped += drops
		return true
	})
	return u, ok
}

// maxSockets bounds the lines read of one file; what has more is left out, for a count cut short is a false one.
const maxSockets = 200_000

// lines calls f with the fields of each line but the headings; it reads as a stream, for a busy proxy has 100,000 connections.
func (p *Proc) lines(pid int, file string, f func(fields [][]byte) bool) bool {
	r, err := os.Open(p.path(pid, file))
	if err != nil {
		p.fault(file, err)
		return false
	}
	defer r.Close()
	scanner := bufio.NewScanner(r)
	scanner.Buffer(p.buf, len(p.buf))
	bad := true // without the headings it is no such file
	for n := 0; scanner.Scan(); n++ {
		if n > maxSockets {
			p.fault(file, errTruncated)
			return false
		}
		if n == 0 {
			bad = !bytes.Contains(scanner.Bytes(), []byte("local_address"))
			continue
		}
		if fields := bytes.Fields(scanner.Bytes()); len(fields) < 5 || !f(fields) {
			bad = true
		}
	}
	if err := scanner.Err(); err != nil {
		p.fault(file, err)
		return false
	}
	if bad { // a count without that line would be a false one
		p.fault(file, errMalformed)
	}
	return !bad
}
