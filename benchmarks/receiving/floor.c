/* The floor: a storage SCP that does the least it can. It receives each data set and writes it to a file.
 *
 *     floor PORT FOLDER write|fsync|discard
 *
 * One process per association, one PDV per P-DATA-TF PDU (as every common sender writes them), no checks.
 * Each payload is read into place, the next 12-byte header behind it in the same call (PS3.8 9.3.5, PS3.7 9.3.1).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK = 256 * 1024, MAX_PDU = 131072, HEADER = 12 };
enum { WRITE, FSYNC, DISCARD };

static unsigned char data[CHUNK + MAX_PDU + HEADER], header[HEADER], command[4096], syntaxes[256][65];
static size_t have, header_have;
static int connection, mode;
static const char *folder;

static void leave(const char *why)
{
    if (why) fprintf(stderr, "floor: %s (%s)\n", why, strerror(errno));
    _exit(why ? 1 : 0);
}

static size_t receive(void *into, size_t most)
{
    ssize_t n = recv(connection, into, most, 0);
    if (n <= 0) leave("the connection was closed");
    return (size_t)n;
}

static void exactly(unsigned char *into, size_t length)
{
    for (size_t got = 0; got < length;) got += receive(into + got, length - got);
}

static void all(int file, const unsigned char *from, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t n = write(file, from + done, length - done);
        if (n <= 0) leave("not written");
        done += (size_t)n;
    }
}

static unsigned big(const unsigned char *at) { return (unsigned)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3]; }
static unsigned little(const unsigned char *at) { return at[0] | at[1] << 8 | at[2] << 16 | (unsigned)at[3] << 24; }

/* A-ASSOCIATE-AC: every context with its first transfer syntax (PS3.8 table 9-17). */
static void associate(void)
{
    static unsigned char request[1 << 16], reply[1 << 16];
    exactly(request, 6);
    unsigned length = big(request + 2);
    if (request[0] != 1 || length < 68 || length > sizeof request) leave("no A-ASSOCIATE-RQ");
    exactly(request, length);
    memcpy(reply + 6, request, 68);
    size_t at = 68, out = 6 + 68;
    while (at + 4 <= length) {
        unsigned size = request[at + 2] << 8 | request[at + 3];
        if (request[at] == 0x10) {
            memcpy(reply + out, request + at, size + 4);
            out += size + 4;
        } else if (request[at] == 0x20) {
            unsigned char number = request[at + 4];
            size_t sub = at + 8;
            while (request[sub] != 0x40) sub += 4 + (request[sub + 2] << 8 | request[sub + 3]);
            unsigned uid = request[sub + 2] << 8 | request[sub + 3];
            if (uid > 64) leave("a transfer syntax UID is too long");
            memcpy(syntaxes[number], request + sub + 4, uid);
            unsigned char item[8] = {0x21, 0, (unsigned char)((uid + 8) >> 8), (unsigned char)(uid + 8), number};
            memcpy(reply + out, item, 8);
            memcpy(reply + out + 8, request + sub, uid + 4);
            out += 8 + 4 + uid;
        }
        at += 4 + size;
    }
    static const char implementation[] = "2.25.302043790172249692526321623266752743501";
    unsigned uid = sizeof implementation - 1;
    unsigned char user[16] = {0x50, 0, 0, (unsigned char)(12 + uid), 0x51, 0, 0, 4, 0, MAX_PDU >> 16, 0, 0, 0x52, 0, 0,
                              (unsigned char)uid};
    memcpy(reply + out, user, 16);
    memcpy(reply + out + 16, implementation, uid);
    out += 16 + uid;
    unsigned body = htonl((unsigned)(out - 6));
    reply[0] = 2;
    memcpy(reply + 2, &body, 4);
    all(connection, reply, out);
}

static unsigned char *value(size_t length, unsigned element, unsigned *size)
{
    for (size_t at = 0; at + 8 <= length; at += 8 + *size) {
        *size = little(command + at + 4);
        if ((unsigned)(command[at + 2] | command[at + 3] << 8) == element) return command + at + 8;
    }
    leave("an element of the command set is missing");
    return 0;
}

static size_t element(unsigned char *to, unsigned number, const void *from, unsigned size)
{
    unsigned char head[8] = {0, 0, (unsigned char)number, (unsigned char)(number >> 8), (unsigned char)size};
    memcpy(to, head, 8);
    memcpy(to + 8, from, size);
    return 8 + size;
}

/* C-STORE-RSP or C-ECHO-RSP, success (PS3.7 table 9.3-2). */
static void answer(size_t length, unsigned char context, unsigned asked)
{
    unsigned char reply[512], group[4] = {0};
    unsigned size, kind = asked | 0x8000;
    size_t at = 12 + 12;
    unsigned char *found = value(length, 0x0002, &size);
    at += element(reply + at, 0x0002, found, size);
    at += element(reply + at, 0x0100, &kind, 2);
    found = value(length, 0x0110, &size);
    at += element(reply + at, 0x0120, found, size);
    at += element(reply + at, 0x0800, "\x01\x01", 2);
    at += element(reply + at, 0x0900, "\0\0", 2);
    if (asked == 1) {
        found = value(length, 0x1000, &size);
        at += element(reply + at, 0x1000, found, size);
    }
    group[0] = (unsigned char)(at - 24);
    element(reply + 12, 0, group, 4);
    unsigned char head[12] = {4, 0, 0, 0, 0, (unsigned char)(at - 6), 0, 0, 0, (unsigned char)(at - 10), context, 3};
    memcpy(reply, head, 12);
    all(connection, reply, at);
}

static size_t meta(unsigned char *to, unsigned number, const char *vr, const void *from, unsigned size)
{
    unsigned padded = size + size % 2;
    int wide = !strcmp(vr, "OB"), before = wide ? 12 : 8;
    unsigned char head[12] = {2, 0, (unsigned char)number, 0, (unsigned char)vr[0], (unsigned char)vr[1]};
    head[wide ? 8 : 6] = (unsigned char)padded;
    memcpy(to, head, before);
    memcpy(to + before, from, size);
    memset(to + before + size, 0, padded - size);
    return before + padded;
}

/* Open the file of an instance; preamble and file meta (PS3.10 7.1) go into `data`, before the data set. */
static int begin(size_t length, unsigned char context)
{
    unsigned size;
    char path[4096];
    unsigned char *instance = value(length, 0x1000, &size);
    snprintf(path, sizeof path, "%s/%.*s.dcm", folder, (int)size, (char *)instance);
    memset(data, 0, 128);
    memcpy(data + 128, "DICM", 4);
    size_t at = 132 + 12;
    at += meta(data + at, 0x01, "OB", "\0\1", 2);
    unsigned char *sop_class = value(length, 0x0002, &size);
    at += meta(data + at, 0x02, "UI", sop_class, size);
    instance = value(length, 0x1000, &size);
    at += meta(data + at, 0x03, "UI", instance, size);
    at += meta(data + at, 0x10, "UI", syntaxes[context], (unsigned)strlen((char *)syntaxes[context]));
    at += meta(data + at, 0x12, "UI", "2.25.302043790172249692526321623266752743501", 44);
    unsigned group = (unsigned)(at - 144);
    meta(data + 132, 0, "UL", &group, 4);
    have = at;
    if (mode == DISCARD) return -1;
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) leave(path);
    return file;
}

static void flush(int file)
{
    if (file >= 0) all(file, data, have);
    have = 0;
}

static void end(int file)
{
    flush(file);
    if (file < 0) return;
    if (mode == FSYNC && fsync(file)) leave("not on the disk");
    close(file);
}

/* The next PDU header and PDV header; nothing of it may be there already. */
static void next_header(void)
{
    while (header_have < 6 || (header[0] == 4 && header_have < HEADER))
        header_have += receive(header + header_have, HEADER - header_have);
}

/* Read one payload to `to`, and what already came of the next header behind it. */
static void payload(unsigned char *to, size_t length)
{
    size_t got = 0;
    while (got < length) got += receive(to + got, length - got + HEADER);
    header_have = got - length;
    memcpy(header, to + length, header_have);
}

static void serve(void)
{
    size_t length = 0;
    unsigned asked = 0, size;
    int file = -1;
    associate();
    for (;;) {
        next_header();
        if (header[0] == 5) {
            all(connection, (const unsigned char *)"\6\0\0\0\0\4\0\0\0\0", 10);
            leave(0);
        }
        size_t body = big(header + 6) - 2;
        unsigned char context = header[10], flags = header[11];
        if (header[0] != 4 || big(header + 2) != body + 6 || body > MAX_PDU) leave("not one PDV in a PDU");
        if (flags & 1) {
            if (body + HEADER > sizeof command) leave("the command set is too long");
            payload(command, length = body);
            asked = *value(length, 0x0100, &size);
            if (asked == 1) file = begin(length, context);
            else answer(length, context, asked);
        } else {
            payload(data + have, body);
            have += body;
            if (flags & 2) {
                end(file);
                answer(length, context, asked);
            } else if (have >= CHUNK) flush(file);
        }
    }
}

int main(int count, char **arguments)
{
    if (count != 4) return 2;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[1]))};
    int one = 1, door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    folder = arguments[2];
    mode = !strcmp(arguments[3], "fsync") ? FSYNC : !strcmp(arguments[3], "discard") ? DISCARD : WRITE;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    signal(SIGCHLD, SIG_IGN);
    setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(door, (struct sockaddr *)&address, sizeof address) || listen(door, 64)) {
        perror("floor");
        return 1;
    }
    while ((connection = accept(door, 0, 0)) >= 0) {
        if (!fork()) {
            close(door);
            setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            serve();
        }
        close(connection);
    }
    return 1;
}
