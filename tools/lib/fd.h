// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

// A file descriptor that is closed once, at the end of its scope.
class Fd
{
public:
	Fd() = default;
	explicit Fd(int fd) : fd_(fd)
	{
	}
	Fd(Fd &&other) noexcept : fd_(std::exchange(other.fd_, -1))
	{
	}
	Fd &operator=(Fd &&other) noexcept
	{
		std::swap(fd_, other.fd_);
		return *this;
	}
	~Fd()
	{
		if (fd_ >= 0)
			close(fd_); // never retried: on Linux it is gone, EINTR or not
	}
	explicit operator bool() const
	{
		return fd_ >= 0;
	}
	int get() const
	{
		return fd_;
	}

private:
	int fd_ = -1;
};

// A file of text to read, such as one of /proc; nullptr where it cannot be opened, and errno says
// why.
inline std::unique_ptr<FILE, int (*)(FILE *)> open_file(const std::string &path)
{
	return {fopen(path.c_str(), "re"), fclose};
}
