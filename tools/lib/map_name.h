// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The full names of maps, of which the kernel keeps 15 characters.
#pragma once

#include <linux/bpf.h>

#include <string>
#include <vector>

#include "type.h"

// What the kernel keeps of a name.
std::string short_name(const std::string &name);

// The name that the BTF of an object has for the map: the only one, or several where nothing
// tells them apart, or none. A map whose definition is of another type or size is not meant; of
// twins, which differ in the name only, the order in which they were made, libbpf's, tells which
// is which, if each of them is there and the kernel may be asked.
std::vector<std::string> full_names(const struct btf *btf, const struct bpf_map_info &info);

// The same, by the BTF that the map was made with, which knows the map's own types, and its
// section if libbpf made it of variables. None where it has none or this may not be read.
std::vector<std::string> full_names(const struct bpf_map_info &info);

// The types of the map's key and value, as the object's BTF defines the map of that name; 0
// where it does not say, or says different things for several maps that may be meant.
MapTypes defined_types(const struct btf *btf, const struct bpf_map_info &info);
