// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The bytes of a key or a value, as the programs of the kit have them.
#pragma once

#include <linux/in6.h>

#include <cstring>

// The bytes have no alignment.
template <class T> T read_as(const unsigned char *bytes)
{
	T value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

// RFC 4291 section 2.5.5.2: ::ffff:0:0/96
inline bool is_v4_mapped(const in6_addr &addr)
{
	static const unsigned char prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	return memcmp(&addr, prefix, sizeof(prefix)) == 0;
}
