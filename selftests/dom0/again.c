// SPDX-License-Identifier: GPL-2.0
/*
 * again STOP MICROSECONDS SEED [FILE VALUE]...: write a value to its file, any of
 * these, over and over, with pauses of up to so long, until the file STOP exists.
 * An empty value: read the file. In the end prints how often that worked, and how
 * often it did not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int try(const char *file, const char *value)
{
	char buffer[4096];
	int fd = open(file, (*value ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
	ssize_t ret;

	if (fd < 0)
		return 0;
	if (*value)
		ret = write(fd, value, strlen(value));
	else
		ret = read(fd, buffer, sizeof(buffer));
	close(fd);
	return ret >= 0;
}

int main(int argc, char **argv)
{
	unsigned long worked = 0, refused = 0;
	int pairs = (argc - 4) / 2;
	unsigned int pause, seed;

	if (pairs < 1) {
		fprintf(stderr, "usage: again STOP MICROSECONDS SEED [FILE VALUE]...\n");
		return 2;
	}
	pause = strtoul(argv[2], NULL, 0);
	seed = strtoul(argv[3], NULL, 0);
	while (access(argv[1], F_OK)) {
		char **pair = argv + 4 + rand_r(&seed) % pairs * 2;

		if (try(pair[0], pair[1]))
			worked++;
		else
			refused++;
		usleep(rand_r(&seed) % (pause + 1));
	}
	printf("%lu %lu\n", worked, refused);
	return 0;
}
