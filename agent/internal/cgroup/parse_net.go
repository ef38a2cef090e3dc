package cgroup

import (
	"bytes"
	"slices"
)

// parseNetDev reads /proc/PID/net/dev into st.Net. Names are taken from names where they are known already and added
// to it otherwise, so that only a new interface allocates.
// https://docs.kernel.org/filesystems/proc.html (net/dev)
func parseNetDev(b []byte, st *Stats, names *[]string) error {
	b, bad := endedLines(b)
	if len(b) == 0 {
		return errMalformed
	}
	_, b = line(b) // two lines of headings
	_, b = line(b)
	for len(b) > 0 {
		var l []byte
		l, b = line(b)
		for len(l) > 0 && l[0] == ' ' {
			l = l[1:]
		}
		colon := bytes.IndexByte(l, ':')
		if colon <= 0 {
			if len(l) > 0 {
				bad = errMalformed
			}
			continue
		}
		name := l[:colon]
		if !watched(name) {
			continue
		}
		var v [16]uint64
		if !columns(l[colon+1:], &v) {
			bad = errMalformed
			continue
		}
		interned := intern(name, names)
		if slices.ContainsFunc(st.Net, func(n Interface) bool { return n.Name == interned }) {
			bad = errMalformed // one series can not have two values
			continue
		}
		if len(st.Net) == maxInterfaces {
			bad = errLimit
			continue
		}
		st.Net = append(st.Net, Interface{
			Name:            interned,
			ReceiveBytes:    v[0],
			ReceivePackets:  v[1],
			ReceiveErrors:   v[2],
			ReceiveDropped:  v[3],
			TransmitBytes:   v[8],
			TransmitPackets: v[9],
			TransmitErrors:  v[10],
			TransmitDropped: v[11],
		})
	}
	st.Has |= HasNet
	return bad
}

// columns reads the numbers of a line; false where one is missing or bad.
func columns(b []byte, v *[16]uint64) bool {
	for i := range v {
		for len(b) > 0 && b[0] == ' ' {
			b = b[1:]
		}
		var ok bool
		if v[i], b, ok = digits(b); !ok || !isCount(v[i]) {
			return false
		}
	}
	return blank(b)
}

// watched leaves out what would count a container's traffic twice or is none: the loopback and the host's ends of the pairs, as cAdvisor does.
func watched(name []byte) bool {
	return string(name) != "lo" && !bytes.HasPrefix(name, []byte("veth")) &&
		!bytes.HasPrefix(name, []byte("docker")) && !bytes.HasPrefix(name, []byte("nerdctl"))
}

// intern returns name as a string, the same one each time. Names that went away are forgotten when the list is full.
func intern(name []byte, names *[]string) string {
	for _, known := range *names {
		if known == string(name) {
			return known
		}
	}
	if len(*names) >= maxInterfaces {
		*names = (*names)[:0]
	}
	s := string(name)
	*names = append(*names, s)
	return s
}
