// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "pin.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "cli.h"
#include "object.h"

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
	else if (is_digits(user))
		access.uid = parse_number(user, "USER", 0, UINT_MAX - 1);
	else
		throw UsageError("no user is called " + quote(user));
	if (colon == std::string::npos)
		return;

	std::string group = text.substr(colon + 1);
	if (group.empty())
		throw UsageError("USER[:GROUP] " + quote(text) + " names no group");
	if (const struct group *entry = getgrnam(group.c_str()))
		access.gid = entry->gr_gid;
	else if (is_digits(group))
		access.gid = parse_number(group, "GROUP", 0, UINT_MAX - 1);
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
