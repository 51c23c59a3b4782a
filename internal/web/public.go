package web

import (
	"net/netip"
	"syscall"
)

// reserved are the networks that netip does not know as private and that are not public all the same (IANA's registries of
// special-purpose addresses), and those whose addresses hold an IPv4 address that we would have to check instead.
var reserved = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"::/8", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
)

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// publicOnly is a net.Dialer's Control. It is called with the address that is about to be dialled, after the name has been
// looked up, so that neither a redirect nor a name that resolves to something else the second time gets past it.
func publicOnly(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !public(to.Addr()) {
		return &Error{Reason: NotPublic, Detail: to.Addr().String() + " is not public"}
	}
	return nil
}

func public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, network := range reserved {
		if network.Contains(a) {
			return false
		}
	}
	return true
}
