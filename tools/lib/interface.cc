// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "interface.h"

#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <vector>

#include "cli.h"
#include "fd.h"

// ALTIFNAMSIZ of the kernel, with the NUL at the end.
constexpr size_t altname_size = 128;

// A request for one interface: RTM_GETLINK.
struct LinkRequest {
	struct nlmsghdr header = {};
	struct ifinfomsg link = {};
	char attributes[RTA_SPACE(sizeof(__u32)) + RTA_SPACE(altname_size)] = {};

	LinkRequest()
	{
		__u32 no_statistics = RTEXT_FILTER_SKIP_STATS;

		header.nlmsg_type = RTM_GETLINK;
		header.nlmsg_flags = NLM_F_REQUEST;
		header.nlmsg_len = NLMSG_LENGTH(sizeof(link));
		add(IFLA_EXT_MASK, &no_statistics, sizeof(no_statistics));
	}

	void add(unsigned short type, const void *data, size_t size)
	{
		char *at = reinterpret_cast<char *>(this) + NLMSG_ALIGN(header.nlmsg_len);
		struct rtattr attribute = {static_cast<unsigned short>(RTA_LENGTH(size)), type};

		memcpy(at, &attribute, sizeof(attribute));
		memcpy(at + RTA_LENGTH(0), data, size);
		header.nlmsg_len = NLMSG_ALIGN(header.nlmsg_len) + RTA_SPACE(size);
	}
};

// The interface of an answer.
static Interface read_link(const char *answer)
{
	const auto *header = reinterpret_cast<const struct nlmsghdr *>(answer);
	const auto *link = static_cast<const struct ifinfomsg *>(NLMSG_DATA(header));
	const struct rtattr *attribute = IFLA_RTA(link);
	auto left = static_cast<int>(IFLA_PAYLOAD(header));
	Interface found = {{}, link->ifi_index, link->ifi_type};

	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
		if (attribute->rta_type == IFLA_IFNAME)
			found.name = static_cast<const char *>(RTA_DATA(attribute));
	return found;
}

// What the kernel says of the interface that the request names; nothing where there is none.
static std::optional<Interface> ask(LinkRequest &request, const std::string &what)
{
	Fd sock(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
	std::vector<char> answer(65536); // one message: it names some altnames, and no more
	ssize_t size = -1;

	if (sock && send(sock.get(), &request, request.header.nlmsg_len, 0) >= 0)
		size = recv(sock.get(), answer.data(), answer.size(), 0);
	if (size < 0)
		fail(errno, what);

	const auto *header = reinterpret_cast<const struct nlmsghdr *>(answer.data());
	if (!NLMSG_OK(header, static_cast<size_t>(size)))
		fail(EBADMSG, what);
	if (header->nlmsg_type == RTM_NEWLINK)
		return read_link(answer.data());
	int err = static_cast<const struct nlmsgerr *>(NLMSG_DATA(header))->error;
	if (err != -ENODEV)
		fail(-err, what);
	return std::nullopt;
}

// The number in "if5", or 0.
static int index_in(std::string_view name)
{
	int index = 0;

	if (!name.starts_with("if") || !is_digits(name.substr(2)))
		return 0;
	auto [end, error] = std::from_chars(name.data() + 2, name.data() + name.size(), index);
	return error == std::errc() ? index : 0;
}

Interface find_interface(const std::string &name)
{
	std::string what = "find device " + quote(name);
	std::optional<Interface> found;

	if (!name.empty() && name.size() < altname_size) {
		LinkRequest request;

		request.add(name.size() < IFNAMSIZ ? IFLA_IFNAME : IFLA_ALT_IFNAME, name.c_str(),
			    name.size() + 1);
		found = ask(request, what);
	}
	if (int index = index_in(name); !found && index) {
		LinkRequest request;

		request.link.ifi_index = index;
		found = ask(request, what);
	}
	if (!found)
		fail(ENODEV, what);
	return *found;
}

struct LinkType {
	unsigned type;
	FirstHeader header;
	const char *name; // as `ip link` has it
};

// Of those with Ip, XDP, which is generic mode there, sees the header of the IP packet.
static constexpr LinkType link_types[] = {
	{ARPHRD_ETHER, FirstHeader::Ethernet, "ether"},
	{ARPHRD_LOOPBACK, FirstHeader::Ethernet, "loopback"}, // with addresses of zero
	{ARPHRD_NONE, FirstHeader::Ip, "none"},		      // TUN, WireGuard, VXLAN-GPE, xfrm
	{ARPHRD_RAWIP, FirstHeader::Ip, "[519]"},	      // a modem; `ip` has no name for it
	{ARPHRD_PPP, FirstHeader::Ip, "ppp"},
	{ARPHRD_TUNNEL, FirstHeader::Ip, "ipip"},
	{ARPHRD_TUNNEL6, FirstHeader::Ip, "tunnel6"},
	{ARPHRD_SIT, FirstHeader::Ip, "sit"},
	{ARPHRD_IPGRE, FirstHeader::Ip, "gre"},
	{ARPHRD_IP6GRE, FirstHeader::Ip, "gre6"},
	{ARPHRD_SLIP, FirstHeader::Ip, "slip"},
	{ARPHRD_CSLIP, FirstHeader::Ip, "cslip"},
	{ARPHRD_SLIP6, FirstHeader::Ip, "slip6"},
	{ARPHRD_CSLIP6, FirstHeader::Ip, "cslip6"},
	{ARPHRD_ADAPT, FirstHeader::Ip, "adapt"},
	{ARPHRD_INFINIBAND, FirstHeader::Other, "infiniband"},
	{ARPHRD_CAN, FirstHeader::Other, "can"},
	{ARPHRD_NETLINK, FirstHeader::Other, "netlink"},
};

static const LinkType *find_link_type(const Interface &interface)
{
	for (const LinkType &known : link_types)
		if (known.type == interface.type)
			return &known;
	return nullptr;
}

FirstHeader first_header(const Interface &interface)
{
	const LinkType *known = find_link_type(interface);

	return known ? known->header : FirstHeader::Other;
}

std::string link_type_name(const Interface &interface)
{
	const LinkType *known = find_link_type(interface);

	return known ? known->name : "[" + std::to_string(interface.type) + "]";
}

struct bpf_xdp_query_opts query_xdp(const Interface &interface)
{
	std::string what = "query the XDP program of " + quote(interface.name);
	LIBBPF_OPTS(bpf_xdp_query_opts, xdp);
	LinkRequest request;

	if (int err = bpf_xdp_query(interface.index, 0, &xdp))
		fail(-err, what);
	// Before libbpf 1.5, the query of an interface that is gone succeeds.
	request.link.ifi_index = interface.index;
	if (!ask(request, what))
		fail(ENODEV, what);
	return xdp;
}
