// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The services of sk_dispatch(7): their numbers, names and slots.
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>

#include <string>

#include "../lib/fd.h"

constexpr __u32 slots_per_service = 4;

// The number of a service: as it is, or by its name in the map dispatch_name that is pinned in the
// directory of `map`. Throws UsageError where it is a number that no service has.
__u32 service_number(const std::string &number_or_name, const std::string &map);

// Is there a binding for the service, in one of the maps of bindings that are pinned in the
// directory of `map`? True as well where none of these can be opened: then nobody can tell.
bool has_binding(__u32 service, const std::string &map);

// Fails where the map at `path` has no slots for services.
void check_has_services(const struct bpf_map_info &info, const std::string &path);

// The slot of a service for this socket, by its protocol and address family. Fails where it is
// neither TCP nor UDP.
__u32 slot_of_service(__u32 service, const Fd &sock);
