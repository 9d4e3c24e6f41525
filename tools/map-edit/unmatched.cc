// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "unmatched.h"

#include <cstddef>
#include <cstring>

#include "../../bpf/xdp_firewall.h"
#include "entry_bytes.h"

static const char why_not_ip6[] =
	"this map is for IPv6: IPv4 networks belong in the map whose name ends in 4";

// In a key, fw_proto may be any number, which to read as one has no defined result.
using ProtoNumber = __u16;
static_assert(sizeof(ProtoNumber) == sizeof(fw_proto));

static bool has_ports(ProtoNumber proto)
{
	return proto == tcp || proto == udp || proto == udplite || proto == dccp || proto == sctp;
}

// ---- xdp_firewall

static const char *why_cidr6(const unsigned char *key, const unsigned char *)
{
	auto cidr = read_as<fw_cidr6>(key);

	if (cidr.prefixlen >= 96 && is_v4_mapped(cidr.addr))
		return why_not_ip6;
	return nullptr;
}

static const char *why_rate(const unsigned char *value)
{
	auto rate = read_as<fw_rate>(value);

	return !rate.pps && rate.burst ? "pps is 0, which is no limit" : nullptr;
}

static const char *why_rate4(const unsigned char *, const unsigned char *value)
{
	return why_rate(value);
}

static const char *why_rate6(const unsigned char *key, const unsigned char *value)
{
	const char *why = why_cidr6(key, value);

	return why ? why : why_rate(value);
}

static const char *why_source(const fw_rule4 &)
{
	return nullptr;
}

static const char *why_source(const fw_rule6 &rule)
{
	if (rule.prefixlen >= 64 + 96 && is_v4_mapped(rule.addr))
		return why_not_ip6;
	return nullptr;
}

template <class Rule> static const char *why_rule(const unsigned char *key, const unsigned char *)
{
	auto rule = read_as<Rule>(key);
	auto proto = read_as<ProtoNumber>(key + offsetof(Rule, proto));

	if (rule.vlan > 0xfff || rule.inner > 0xfff)
		return "a VLAN id is at most 4095";
	if (rule.inner && !rule.vlan)
		return "inner is the VLAN id inside another one: vlan is missing";
	if (proto == fragment)
		return "a rule matches a later fragment by its protocol, not as fragment";
	if (proto > unparsed)
		return "no packet has this protocol in a rule";
	if (rule.port && proto == any)
		return "a port needs a protocol: tcp, udp, udplite, dccp or sctp";
	if (rule.port && !has_ports(proto))
		return "this protocol has no ports; tcp, udp, udplite, dccp and sctp have";
	return why_source(rule);
}

static const char *why_icmp6(const unsigned char *key, const unsigned char *)
{
	auto icmp = read_as<fw_icmp>(key);

	if (icmp.prefixlen >= 8 && ((icmp.type >= 130 && icmp.type <= 137) || icmp.type == 143))
		return "neighbour discovery and MLD always pass";
	return nullptr;
}

static const char *why_deny(const unsigned char *key, const unsigned char *)
{
	auto proto = read_as<ProtoNumber>(key);

	if (proto == any)
		return "fw_deny has no entry for all: add icmp, icmpv6, tcp, udp, other, fragment "
		       "and unparsed";
	if (proto > other)
		return "no packet has this protocol";
	return nullptr;
}

static const char *why_port_group(const unsigned char *, const unsigned char *value)
{
	return read_as<__be16>(value) ? nullptr : "0 is no port that could stand for a group";
}

// ---- detect_ping

static const char *why_ping6(const unsigned char *key, const unsigned char *)
{
	if (is_v4_mapped(read_as<in6_addr>(key)))
		return "this map is for IPv6: add an IPv4 address to ping_hash";
	return nullptr;
}

static const UnmatchedCheck checks[] = {
	{"fw_allow6", sizeof(fw_cidr6), sizeof(fw_count), why_cidr6},
	{"fw_block6", sizeof(fw_cidr6), sizeof(fw_count), why_cidr6},
	{"fw_rate4", sizeof(fw_cidr4), sizeof(fw_rate), why_rate4},
	{"fw_rate6", sizeof(fw_cidr6), sizeof(fw_rate), why_rate6},
	{"fw_rule4", sizeof(fw_rule4), sizeof(fw_rule), why_rule<fw_rule4>},
	{"fw_rule6", sizeof(fw_rule6), sizeof(fw_rule), why_rule<fw_rule6>},
	{"fw_icmp6", sizeof(fw_icmp), sizeof(fw_rule), why_icmp6},
	{"fw_deny", sizeof(fw_proto), sizeof(fw_count), why_deny},
	{"fw_tcp_ports", sizeof(__be16), sizeof(__be16), why_port_group},
	{"fw_udp_ports", sizeof(__be16), sizeof(__be16), why_port_group},
	{"ping_hash6", sizeof(in6_addr), sizeof(__u32), why_ping6},
};

WhyUnmatched find_unmatched_check(const OpenMap &map)
{
	for (const auto &table : {std::span<const UnmatchedCheck>(checks), binding_checks})
		for (const UnmatchedCheck &entry : table)
			if (strcmp(map.info.name, entry.name) == 0 &&
			    map.info.key_size == entry.key_size &&
			    map.info.value_size == entry.value_size)
				return entry.check;
	return nullptr;
}
