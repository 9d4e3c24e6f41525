// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "show.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <mntent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "../lib/capability.h"
#include "../lib/json.h"
#include "../lib/object.h"

ino_t netns_inode(const Fd &netns)
{
	struct stat st;

	if (fstat(netns.get(), &st))
		fail(errno, "query network namespace");
	return st.st_ino;
}

std::vector<__u32> attached_programs(const Fd &netns)
{
	std::vector<__u32> ids(max_programs);
	__u32 count = ids.size();
	__u32 flags = 0;

	if (bpf_prog_query(netns.get(), BPF_SK_LOOKUP, 0, &flags, ids.data(), &count))
		fail(errno, "query the sk_lookup programs of the network namespace",
		     why_denied(errno, {CAP_NET_ADMIN}));
	ids.resize(count);
	return ids;
}

struct Link {
	__u32 id;
	__u32 prog_id;
};

// The links by which programs are attached to the namespace, by id.
static std::vector<Link> links_of(const Fd &netns)
{
	ino_t inode = netns_inode(netns);
	std::vector<Link> links;
	__u32 id = 0;

	while (bpf_link_get_next_id(id, &id) == 0) {
		Fd link(bpf_link_get_fd_by_id(id));

		// It went away meanwhile, or is still being made.
		if (!link && (errno == ENOENT || errno == EAGAIN))
			continue;
		if (!link)
			fail(errno, "open link " + std::to_string(id),
			     why_denied(errno, {CAP_SYS_ADMIN}));
		struct bpf_link_info info = link_info(link);
		if (info.type == BPF_LINK_TYPE_NETNS && info.netns.attach_type == BPF_SK_LOOKUP &&
		    info.netns.netns_ino == inode)
			links.push_back({id, info.prog_id});
	}
	if (errno != ENOENT)
		fail(errno, "list the links", why_denied(errno, {CAP_SYS_ADMIN}));
	return links;
}

// The links that are pinned in this bpffs: their ids, and the paths. What the user may not open,
// and what goes away meanwhile, is passed over.
static void find_pins(const std::string &bpffs, std::map<__u32, std::vector<std::string>> &pins)
{
	namespace fs = std::filesystem;
	std::error_code error;

	for (auto at = fs::recursive_directory_iterator(
		     bpffs, fs::directory_options::skip_permission_denied, error);
	     !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
		std::error_code gone;

		if (!at->is_regular_file(gone))
			continue;
		Fd link(bpf_obj_get(at->path().c_str()));
		if (!link && errno != ENOENT && errno != EACCES && errno != EPERM)
			fail(errno, "open " + quote(at->path().string()));
		if (link && is_kind(link, ObjectKind::Link))
			pins[link_info(link).id].push_back(at->path());
	}
	if (error && error != std::errc::no_such_file_or_directory &&
	    error != std::errc::permission_denied)
		fail(error.value(), "read the pins in " + quote(bpffs));
}

// In all bpffs that are mounted here.
static std::map<__u32, std::vector<std::string>> all_pins()
{
	std::unique_ptr<FILE, int (*)(FILE *)> mounts(setmntent("/proc/self/mounts", "r"),
						      endmntent);
	std::map<__u32, std::vector<std::string>> pins;

	if (!mounts)
		fail(errno, "open /proc/self/mounts");
	while (const struct mntent *mount = getmntent(mounts.get()))
		if (strcmp(mount->mnt_type, "bpf") == 0)
			find_pins(mount->mnt_dir, pins);
	if (ferror(mounts.get()))
		fail(EIO, "read /proc/self/mounts");
	for (auto &[id, paths] : pins)
		std::ranges::sort(paths);
	return pins;
}

void show_attached(const Fd &netns, const CommonOptions &common)
{
	std::vector<__u32> programs = attached_programs(netns);
	nlohmann::ordered_json json = nlohmann::ordered_json::array();
	int number = 0;

	if (programs.empty()) {
		if (common.json)
			print_json(json, common.pretty);
		return;
	}
	std::vector<Link> links = links_of(netns);
	std::map<__u32, std::vector<std::string>> pins = all_pins();
	for (__u32 program : programs) {
		std::string text =
			std::to_string(++number) + ": program " + std::to_string(program);
		nlohmann::ordered_json entry = {{"prog_id", program}};

		// What was detached or unloaded meanwhile is shown by its number alone.
		Fd prog(bpf_prog_get_fd_by_id(program));
		if (!prog && errno != ENOENT)
			fail(errno, "open program " + std::to_string(program));
		if (prog) {
			std::string name = object_name(prog_info(prog).name);
			text += " " + printable(name);
			entry["prog_name"] = name;
		}
		// A program that is attached twice has two links, in the order of their ids.
		auto link = std::ranges::find(links, program, &Link::prog_id);
		if (link != links.end()) {
			const std::vector<std::string> &paths = pins[link->id];
			text += ", link " + std::to_string(link->id);
			for (const std::string &path : paths)
				text += (path == paths.front() ? ", pinned " : " ") +
					printable(path);
			entry["link_id"] = link->id;
			entry["pinned"] = paths;
			links.erase(link);
		}
		json.push_back(entry);
		if (!common.json)
			puts(text.c_str());
	}
	if (common.json)
		print_json(json, common.pretty);
}
