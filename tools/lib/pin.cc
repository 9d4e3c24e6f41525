// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "pin.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "cli.h"

const char *kind_name(Kind kind)
{
	switch (kind) {
	case Kind::Map:
		return "map";
	case Kind::Prog:
		return "program";
	case Kind::Link:
		return "link";
	}
	return "object";
}

// What an fd of the bpf(2) system call is, by the name that the kernel gives its inode.
static std::string inode_name(int fd)
{
	char name[64] = {};
	std::string link = "/proc/self/fd/" + std::to_string(fd);

	if (readlink(link.c_str(), name, sizeof(name) - 1) < 0)
		return {};
	return name;
}

static bool is_kind(const Fd &fd, Kind kind)
{
	std::string name = inode_name(fd.get());

	switch (kind) {
	case Kind::Map:
		return name == "anon_inode:bpf-map";
	case Kind::Prog:
		return name == "anon_inode:bpf-prog";
	case Kind::Link:
		return name == "anon_inode:bpf_link" || name == "anon_inode:bpf-link";
	}
	return false;
}

static bool on_bpffs(const std::string &path)
{
	struct statfs fs;

	return statfs(path.c_str(), &fs) == 0 && static_cast<__u32>(fs.f_type) == BPF_FS_MAGIC;
}

// Why bpf(2) may have said EPERM, to somebody who may open the pin.
static std::string why_eperm(int err)
{
	return err == EPERM ? "needs CAP_BPF: see kernel.unprivileged_bpf_disabled" : "";
}

Fd open_pinned(Kind kind, const std::string &path, bool read_only)
{
	LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = read_only ? __u32{BPF_F_RDONLY} : 0);
	std::string what = std::string("open ") + kind_name(kind) + " " + quote(path);
	struct stat st;

	if (stat(path.c_str(), &st))
		fail(errno, what);
	if (!on_bpffs(path))
		fail(what, "not on a bpffs");
	if (S_ISDIR(st.st_mode))
		fail(EISDIR, what);

	Fd fd(bpf_obj_get_opts(path.c_str(), &opts));
	if (!fd)
		fail(errno, what, why_eperm(errno));
	if (!is_kind(fd, kind))
		fail(what, std::string("not a ") + kind_name(kind));
	return fd;
}

Fd open_by_id(Kind kind, __u32 id)
{
	Fd fd;

	switch (kind) {
	case Kind::Map:
		fd = Fd(bpf_map_get_fd_by_id(id));
		break;
	case Kind::Prog:
		fd = Fd(bpf_prog_get_fd_by_id(id));
		break;
	case Kind::Link:
		fd = Fd(bpf_link_get_fd_by_id(id));
		break;
	}
	if (!fd)
		fail(errno, std::string("open ") + kind_name(kind) + " " + std::to_string(id),
		     errno == EPERM ? "an id needs CAP_SYS_ADMIN" : "");
	return fd;
}

Fd open_prog(const std::string &which, const std::string &name)
{
	if (!which.empty() && which.find_first_not_of("0123456789") == std::string::npos)
		return open_by_id(Kind::Prog, number(which, name, 1, UINT32_MAX));
	return open_pinned(Kind::Prog, which);
}

Fd open_prog_of_type(const std::string &path, __u32 type)
{
	Fd prog = open_pinned(Kind::Prog, path);
	__u32 its_type = prog_info(prog).type;

	if (its_type != type)
		fail("open program " + quote(path),
		     "its type is " + prog_type_name(its_type) + ", not " + prog_type_name(type));
	return prog;
}

template <typename Info> static Info get_info(const Fd &fd, const char *kind)
{
	Info info;
	__u32 size = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (bpf_obj_get_info_by_fd(fd.get(), &info, &size))
		fail(errno, std::string("query ") + kind);
	return info;
}

struct bpf_map_info map_info(const Fd &map)
{
	return get_info<struct bpf_map_info>(map, "map");
}

struct bpf_prog_info prog_info(const Fd &prog)
{
	return get_info<struct bpf_prog_info>(prog, "program");
}

struct bpf_link_info link_info(const Fd &link)
{
	return get_info<struct bpf_link_info>(link, "link");
}

std::vector<__u32> prog_map_ids(const Fd &prog)
{
	std::vector<__u32> ids(prog_info(prog).nr_map_ids);
	struct bpf_prog_info info;
	__u32 size = sizeof(info);

	memset(&info, 0, sizeof(info));
	info.nr_map_ids = static_cast<__u32>(ids.size());
	info.map_ids = reinterpret_cast<__u64>(ids.data());
	if (bpf_obj_get_info_by_fd(prog.get(), &info, &size))
		fail(errno, "query the maps of a program");
	ids.resize(info.nr_map_ids);
	return ids;
}

std::string object_name(const char (&name)[BPF_OBJ_NAME_LEN])
{
	return {name, strnlen(name, sizeof(name))};
}

std::string map_type_name(__u32 type)
{
	const char *name = libbpf_bpf_map_type_str(static_cast<enum bpf_map_type>(type));

	return name ? name : "type " + std::to_string(type);
}

std::string prog_type_name(__u32 type)
{
	const char *name = libbpf_bpf_prog_type_str(static_cast<enum bpf_prog_type>(type));

	return name ? name : "type " + std::to_string(type);
}

mode_t parse_mode(const std::string &text)
{
	if (text.empty() || text.size() > 4 ||
	    text.find_first_not_of("01234567") != std::string::npos)
		throw UsageError("MODE " + quote(text) + " is not an octal mode");
	mode_t mode = static_cast<mode_t>(strtoul(text.c_str(), nullptr, 8));
	if (mode > 0777)
		throw UsageError("MODE " + quote(text) + " is above 0777");
	return mode;
}

void parse_owner(const std::string &text, Access &access)
{
	size_t colon = text.find(':');
	std::string user = text.substr(0, colon);

	if (user.empty())
		throw UsageError("USER[:GROUP] " + quote(text) + " names no user");
	if (const struct passwd *entry = getpwnam(user.c_str()))
		access.uid = entry->pw_uid;
	else if (user.find_first_not_of("0123456789") == std::string::npos)
		access.uid = number(user, "USER", 0, UINT_MAX - 1);
	else
		throw UsageError("no user is called " + quote(user));
	if (colon == std::string::npos)
		return;

	std::string group = text.substr(colon + 1);
	if (group.empty())
		throw UsageError("USER[:GROUP] " + quote(text) + " names no group");
	if (const struct group *entry = getgrnam(group.c_str()))
		access.gid = entry->gr_gid;
	else if (group.find_first_not_of("0123456789") == std::string::npos)
		access.gid = number(group, "GROUP", 0, UINT_MAX - 1);
	else
		throw UsageError("no group is called " + quote(group));
}

std::string parent_of(const std::string &path)
{
	size_t slash = path.find_last_of('/');

	if (slash == std::string::npos)
		return ".";
	return slash ? path.substr(0, slash) : "/";
}

void check_bpffs(const std::string &dir, const std::string &what)
{
	struct stat st;

	if (stat(dir.c_str(), &st))
		fail(errno, what, "directory " + quote(dir));
	if (!S_ISDIR(st.st_mode))
		fail(ENOTDIR, what, "directory " + quote(dir));
	if (!on_bpffs(dir))
		fail(what, "not on a bpffs");
}

void check_pin_path(const std::string &path, bool replace)
{
	std::string what = "pin " + quote(path);
	std::string name = path.substr(path.find_last_of('/') + 1);
	struct stat st;

	check_bpffs(parent_of(path), what);
	if (access(parent_of(path).c_str(), W_OK | X_OK))
		fail(errno, what);
	if (name.empty())
		fail(EISDIR, what);
	if (name.find('.') != std::string::npos)
		fail(what, "bpffs allows no dot in a name");
	if (lstat(path.c_str(), &st))
		return;
	if (!replace)
		fail(EEXIST, what);
	if (S_ISDIR(st.st_mode))
		fail(EISDIR, what);
}

void check_pin_directory(const std::string &dir)
{
	std::string what = "make directory " + quote(dir);

	if (access(dir.c_str(), F_OK) == 0) {
		check_bpffs(dir, "pin in " + quote(dir));
		return;
	}
	check_bpffs(parent_of(dir), what);
	if (dir.find('.', dir.find_last_of('/') + 1) != std::string::npos)
		fail(what, "bpffs allows no dot in a name");
}

// The inode at a path, or 0.
static ino_t inode_at(const std::string &path)
{
	struct stat st;

	return lstat(path.c_str(), &st) ? 0 : st.st_ino;
}

// The inodes of a pin that is being made: as long as 0, not known.
struct Inodes {
	ino_t made = 0;
	ino_t before = 0; // what it is to replace; 0: nothing
};

// Pins on their way: each is made under a temporary name beside its place, and moved
// there when all of them are complete. What is where is seen from their inodes, so
// that another process can take over at any point.
class Move
{
public:
	Move(const std::vector<Pin> &pins, const std::string &dir) : inodes(pins.size()), dir_(dir)
	{
		std::string suffix = "~" + std::to_string(getpid());

		for (const Pin &pin : pins)
			names_.emplace_back(pin.path + suffix, pin.path);
	}

	const std::string &temporary(size_t i) const
	{
		return names_[i].first;
	}

	// Look at what is there, when all are made and none is moved.
	void look(const std::vector<Pin> &pins)
	{
		for (size_t i = 0; i < names_.size(); i++)
			inodes[i] = {inode_at(names_[i].first),
				     pins[i].replace ? inode_at(names_[i].second) : 0};
	}

	// What is not moved yet is, and then what was replaced goes. False where a name that
	// was free is taken now.
	bool finish() const
	{
		for (size_t i = 0; i < names_.size(); i++) {
			const auto &[temporary, path] = names_[i];

			if (inode_at(temporary) == inodes[i].made &&
			    renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(),
				      inodes[i].before ? 0 : RENAME_NOREPLACE))
				return false;
		}
		for (const auto &[temporary, path] : names_)
			unlink(temporary.c_str());
		return true;
	}

	// What was made goes, and what it has replaced comes back. Not where rename() has
	// replaced it, since bpffs could not exchange: that stays.
	void undo() const
	{
		for (size_t i = 0; i < names_.size(); i++) {
			const auto &[temporary, path] = names_[i];
			const Inodes &known = inodes[i];
			ino_t inode = inode_at(temporary);

			if (inode && known.made && inode != known.made)
				rename(temporary.c_str(), path.c_str());
			else if (inode)
				unlink(temporary.c_str());
			else if (known.made && !known.before && inode_at(path) == known.made)
				unlink(path.c_str());
		}
		if (!dir_.empty())
			rmdir(dir_.c_str());
	}

	std::vector<Inodes> inodes;

private:
	std::vector<std::pair<std::string, std::string>> names_;
	std::string dir_; // that is made, too, or empty
};

// A child in a session of its own, which sees to the end what its parent has begun where
// that dies in between: by SIGKILL, say. It hears of that from the kernel, which closes
// the parent's end of a socket. Who kills both leaves the temporary names behind.
class Guard
{
public:
	explicit Guard(Move move)
	{
		int ends[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
			fail(errno, "make a socket pair");
		ours_ = Fd(ends[0]);
		Fd theirs(ends[1]);
		pid_ = fork();
		if (pid_ < 0)
			fail(errno, "fork");
		if (pid_ == 0) {
			setsid();
			ours_ = Fd();
			watch(theirs, move);
			_exit(0);
		}
		theirs = Fd();
		// Until it is in its own session, it could be killed together with us.
		char ready;
		if (recv(ours_.get(), &ready, 1, 0) != 1)
			fail("start a process", "it has ended");
	}
	Guard(const Guard &) = delete;
	Guard &operator=(const Guard &) = delete;
	~Guard()
	{
		kill(pid_, SIGKILL);
		waitpid(pid_, nullptr, 0);
	}

	// From now on, all are made and it is to finish; or it is to undo.
	void finish(const Move &move) const
	{
		tell(move.inodes.data(), move.inodes.size() * sizeof(Inodes));
	}
	void undo() const
	{
		tell("", 1);
	}

private:
	void tell(const void *message, size_t size) const
	{
		// One that is dead is no reason to stop.
		(void)!send(ours_.get(), message, size, MSG_NOSIGNAL);
	}

	static void watch(const Fd &socket, Move &move)
	{
		std::vector<Inodes> heard(move.inodes.size());
		size_t size = heard.size() * sizeof(Inodes);
		bool finish = false;
		ssize_t length;

		send(socket.get(), "", 1, MSG_NOSIGNAL);
		while ((length = recv(socket.get(), heard.data(), size, 0)) > 0) {
			finish = static_cast<size_t>(length) == size;
			if (finish)
				move.inodes = heard;
		}
		if (!finish || !move.finish())
			move.undo();
	}

	Fd ours_;
	pid_t pid_;
};

static void set_access(const Pin &pin, const std::string &path, const Access &access)
{
	std::string what = "pin " + quote(pin.path);

	if (access.mode && chmod(path.c_str(), *access.mode))
		fail(errno, what, "set its mode");
	// -1 leaves an owner as it is.
	if ((access.uid || access.gid) &&
	    chown(path.c_str(), access.uid.value_or(-1), access.gid.value_or(-1)))
		fail(errno, what, "set its owner");
}

static void pin_at(const Pin &pin, const std::string &path)
{
	if (bpf_obj_pin(pin.object.get(), path.c_str()))
		fail(errno, "pin " + quote(pin.path), why_eperm(errno));
}

static void move_pin(const std::string &temporary, const std::string &path, bool replace)
{
	if (renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0)
		return;
	if (errno != EEXIST || !replace)
		fail(errno, "pin " + quote(path));
	// The old pin takes the temporary's name, and goes with it at the end.
	if (renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE) == 0)
		return;
	// Before Linux 5.16 bpffs cannot exchange.
	if (errno != EINVAL || rename(temporary.c_str(), path.c_str()))
		fail(errno, "pin " + quote(path));
}

static void make_and_move(const std::vector<Pin> &pins, const Access &access, Move &move,
			  const Guard &guard, const std::function<void()> &report)
{
	for (const Pin &pin : pins)
		check_pin_path(pin.path, pin.replace);

	for (size_t i = 0; i < pins.size(); i++) {
		pin_at(pins[i], move.temporary(i));
		set_access(pins[i], move.temporary(i), access);
	}
	move.look(pins);
	guard.finish(move);
	for (size_t i = 0; i < pins.size(); i++)
		move_pin(move.temporary(i), pins[i].path, pins[i].replace);
	if (report)
		report();
	move.finish();
}

void pin_all(const std::vector<Pin> &pins, const Access &access, const std::string &dir,
	     const std::function<void()> &report)
{
	bool new_dir = !dir.empty() && ::access(dir.c_str(), F_OK) != 0;

	// The kernel makes one pin in one step, where it needs no more.
	if (pins.size() == 1 && !new_dir && !pins[0].replace && !access.mode && !access.uid &&
	    !access.gid && !report) {
		check_pin_path(pins[0].path, false);
		pin_at(pins[0], pins[0].path);
		return;
	}

	Move move(pins, new_dir ? dir : "");
	Guard guard(move);
	if (new_dir && mkdir(dir.c_str(), 0755))
		fail(errno, "make directory " + quote(dir));
	try {
		make_and_move(pins, access, move, guard, report);
	} catch (...) {
		guard.undo();
		move.undo();
		throw;
	}
}
