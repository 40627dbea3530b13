/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The private socket: its listener, and one connection for each peer. */

#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "auth.h"
#include "error.h"
#include "log.h"
#include "private.h"
#include "systemd1-names.h"
#include "util.h"
#include "vtables.h"

#define PEERS_MAX         1024
#define QUEUE_MAX         2048 /* messages that a peer may leave unread */
#define SLOW_QUEUE        8
#define ACCEPT_AGAIN_USEC 1000000ULL
#define BUS_DRIVER        "org.freedesktop.DBus"
#define ALREADY_OWNER     2 /* of StartServiceByName */

typedef struct Peer Peer;

struct Peer {
        Private *private_;
        Peer *prev, *next;
        sd_bus *bus;
        uint32_t id;
        uint32_t uid;
        pid_t pid;
        unsigned objects; /* OBJECTS_… that were added to the connection */
        int doomed;       /* does not read: cut off at the end of the loop turn */
};

struct Private {
        Face *face;
        char *path;
        int fd;
        ino_t inode;
        uint32_t last_id;
        size_t n_peers;
        Peer *peers;
        sd_event_source *listener, *again, *cut;
        int refused; /* somebody was turned away, and that was logged */
};

/* ---- peers ---- */

static void peer_free(Peer *peer)
{
        Private *private_ = peer->private_;
        char name[32];

        *(peer->prev ? &peer->prev->next : &private_->peers) = peer->next;
        if (peer->next)
                peer->next->prev = peer->prev;
        private_->n_peers--;
        private_->refused = 0;
        (void)snprintf(name, sizeof(name), "peer-%u", peer->id);
        clients_drop_bus(private_->face->manager->clients, peer->bus);
        sd_bus_detach_event(peer->bus);
        peer->bus = sd_bus_close_unref(peer->bus);
        life_client_gone(private_->face, name);
        free(peer);
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        peer_free(userdata);
        return 0;
}

/* Not where it is noticed: that may be in the middle of a walk over all peers, or of a call. */
static int on_cut(sd_event_source *source, void *userdata)
{
        Private *private_ = userdata;

        for (Peer *peer = private_->peers, *next; peer; peer = next) {
                next = peer->next;
                if (!peer->doomed)
                        continue;
                log_warning("%s: process %d does not read what it is sent (%d messages): cut off",
                            private_->path, peer->pid, QUEUE_MAX);
                peer_free(peer);
        }
        return 0;
}

static void check_queue(Peer *peer)
{
        uint64_t n = 0;

        if (peer->doomed || sd_bus_get_n_queued_write(peer->bus, &n) < 0 || n < QUEUE_MAX)
                return;
        peer->doomed = 1;
        (void)sd_event_source_set_enabled(peer->private_->cut, SD_EVENT_ONESHOT);
}

/* ---- what a bus daemon would answer ---- */

static int reply_unique_name(sd_bus_message *call, Peer *peer)
{
        char name[32];

        (void)snprintf(name, sizeof(name), ":1.%u", peer->id);
        return sd_bus_reply_method_return(call, "s", name);
}

static int reply_nothing(sd_bus_message *call, Peer *peer)
{
        return sd_bus_reply_method_return(call, NULL);
}

static int reply_id(sd_bus_message *call, Peer *peer)
{
        sd_id128_t id;
        char text[SD_ID128_STRING_MAX];

        if (sd_bus_get_bus_id(peer->bus, &id) < 0)
                id = SD_ID128_NULL;
        return sd_bus_reply_method_return(call, "s", sd_id128_to_string(id, text));
}

static int reply_names(sd_bus_message *call, Peer *peer)
{
        return sd_bus_reply_method_return(call, "as", 2, BUS_DRIVER, SD1_BUS_NAME);
}

static int reply_no_names(sd_bus_message *call, Peer *peer)
{
        return sd_bus_reply_method_return(call, "as", 0);
}

static int is_ours(const char *name)
{
        return streq(name, SD1_BUS_NAME) || streq(name, BUS_DRIVER);
}

static int refuse_name(sd_bus_message *call, const char *name)
{
        return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_NAME_HAS_NO_OWNER,
                                          "This is no bus: there is no '%s' here.", name);
}

static int reply_owner(sd_bus_message *call, Peer *peer)
{
        const char *name;

        if (sd_bus_message_read(call, "s", &name) < 0)
                return -EINVAL;
        return is_ours(name) ? sd_bus_reply_method_return(call, "s", name)
                             : refuse_name(call, name);
}

static int reply_has_owner(sd_bus_message *call, Peer *peer)
{
        const char *name;

        if (sd_bus_message_read(call, "s", &name) < 0)
                return -EINVAL;
        return sd_bus_reply_method_return(call, "b", is_ours(name));
}

static int reply_started(sd_bus_message *call, Peer *peer)
{
        const char *name;

        if (sd_bus_message_read(call, "s", &name) < 0)
                return -EINVAL;
        return is_ours(name) ? sd_bus_reply_method_return(call, "u", ALREADY_OWNER)
                             : refuse_name(call, name);
}

static int reply_credentials(sd_bus_message *call, Peer *peer)
{
        const char *name;

        if (sd_bus_message_read(call, "s", &name) < 0)
                return -EINVAL;
        return is_ours(name) ? sd_bus_reply_method_return(call, "a{sv}", 2, "UnixUserID", "u",
                                                          geteuid(), "ProcessID", "u", getpid())
                             : refuse_name(call, name);
}

static int reply_uid(sd_bus_message *call, Peer *peer)
{
        return sd_bus_reply_method_return(call, "u", geteuid());
}

static int reply_pid(sd_bus_message *call, Peer *peer)
{
        return sd_bus_reply_method_return(call, "u", getpid());
}

static const struct {
        const char *member, *signature;
        int (*reply)(sd_bus_message *call, Peer *peer);
} driver_calls[] = {
        {"AddMatch",                    "s",  reply_nothing    },
        { "RemoveMatch",                "s",  reply_nothing    },
        { "Hello",                      "",   reply_unique_name},
        { "GetId",                      "",   reply_id         },
        { "GetNameOwner",               "s",  reply_owner      },
        { "NameHasOwner",               "s",  reply_has_owner  },
        { "ListNames",                  "",   reply_names      },
        { "ListActivatableNames",       "",   reply_no_names   },
        { "StartServiceByName",         "su", reply_started    },
        { "GetConnectionCredentials",   "s",  reply_credentials},
        { "GetConnectionUnixUser",      "s",  reply_uid        },
        { "GetConnectionUnixProcessID", "s",  reply_pid        },
};

static int answer_as_driver(sd_bus_message *call, Peer *peer)
{
        const char *member = sd_bus_message_get_member(call);
        int r = -ENOENT;

        for (size_t i = 0; r == -ENOENT && i < ELEMENTSOF(driver_calls); i++)
                if (streq(driver_calls[i].member, member) &&
                    sd_bus_message_has_signature(call, driver_calls[i].signature))
                        r = driver_calls[i].reply(call, peer);
        if (r == -ENOENT)
                (void)sd_bus_reply_method_errorf(
                        call, SD_BUS_ERROR_UNKNOWN_METHOD,
                        "This is the private socket of %s, not a bus: there is no method %s.",
                        SD1_BUS_NAME, member);
        return 1;
}

static const struct {
        const char *path;
        int (*add)(Face *face, sd_bus *bus);
} objects[] = {
        {SD1_UNIT_PREFIX, unit_vtable_add   },
        { SD1_JOB_PREFIX, job_vtable_add    },
        { SD1_PATH,       manager_vtable_add},
};

/* Most peers only listen, or call one method: each connection gets the tables that its calls need.
 */
static int add_objects(Peer *peer, sd_bus_message *call)
{
        const char *path = sd_bus_message_get_path(call);
        int all = sd_bus_message_is_method_call(call, "org.freedesktop.DBus.Introspectable", NULL) >
                  0;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(objects); i++) {
                int wanted = all || strncmp(path, objects[i].path, strlen(objects[i].path)) == 0;

                if (wanted && !(peer->objects & 1U << i))
                        r = objects[i].add(peer->private_->face, peer->bus);
                peer->objects |= wanted ? 1U << i : 0;
                if (wanted && !all)
                        break;
        }
        return r;
}

/* First of all for what comes from a peer. */
static int on_message(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const char *interface = sd_bus_message_get_interface(message);
        Peer *peer = userdata;
        int r;

        check_queue(peer);
        if (peer->doomed)
                return 1;
        if (sd_bus_message_is_method_call(message, NULL, NULL) <= 0)
                return 0;
        if (interface && streq(interface, BUS_DRIVER))
                return answer_as_driver(message, peer);
        r = add_objects(peer, message);
        return r < 0 ? r : 0;
}

static int start_peer(Peer *peer, int fd)
{
        sd_event *event = peer->private_->face->manager->event;
        sd_id128_t id;
        char name[32];
        int r;

        (void)snprintf(name, sizeof(name), "peer-%u", peer->id);
        r = sd_bus_new(&peer->bus);
        if (r >= 0)
                r = sd_bus_set_description(peer->bus, name);
        if (r >= 0)
                r = sd_id128_randomize(&id);
        if (r >= 0)
                r = sd_bus_set_server(peer->bus, 1, id);
        if (r >= 0)
                r = sd_bus_negotiate_fds(peer->bus, 1);
        if (r >= 0)
                r = sd_bus_set_sender(peer->bus, SD1_BUS_NAME);
        if (r >= 0)
                r = sd_bus_set_fd(peer->bus, fd, fd); /* it is the connection's from now on */
        if (r < 0) {
                safe_close(fd);
                return r;
        }
        r = sd_bus_start(peer->bus);
        if (r >= 0)
                r = sd_bus_attach_event(peer->bus, event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_match_signal(peer->bus, NULL, "org.freedesktop.DBus.Local",
                                        "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                        "Disconnected", on_disconnected, peer);
        if (r >= 0)
                r = sd_bus_add_filter(peer->bus, NULL, on_message, peer);
        if (r >= 0)
                r = clients_add_peer(peer->private_->face->manager->clients, peer->bus, peer->uid,
                                     peer->pid);
        return r;
}

/* ---- the listener ---- */

static void refuse(Private *private_, const struct ucred *who, const char *why)
{
        if (!private_->refused)
                log_warning("%s: process %d of uid %u is refused: %s", private_->path, who->pid,
                            who->uid, why);
        private_->refused = 1;
}

/* Those who connect and say nothing are in nobody's way: the oldest of them goes. */
static void make_room(Private *private_)
{
        Peer *silent = NULL;

        for (Peer *peer = private_->peers; peer; peer = peer->next)
                if (sd_bus_is_ready(peer->bus) <= 0)
                        silent = peer;
        if (silent)
                peer_free(silent);
}

/* Takes the fd. */
static void add_peer(Private *private_, int fd)
{
        struct ucred who = { .uid = UINT32_MAX };
        socklen_t size = sizeof(who);
        Peer *peer = NULL;

        if (private_->n_peers >= PEERS_MAX)
                make_room(private_);
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0 || !uid_is_master(who.uid))
                refuse(private_, &who, "only root and the daemon's own user may come this way");
        else if (private_->n_peers >= PEERS_MAX)
                refuse(private_, &who, "there are 1024 connections already");
        else if (!(peer = calloc(1, sizeof(*peer))))
                refuse(private_, &who, "out of memory");
        if (!peer) {
                safe_close(fd);
                return;
        }
        *peer = (Peer){ .private_ = private_,
                        .next = private_->peers,
                        .id = ++private_->last_id,
                        .uid = who.uid,
                        .pid = who.pid };
        if (peer->next)
                peer->next->prev = peer;
        private_->peers = peer;
        private_->n_peers++;
        if (start_peer(peer, fd) < 0) {
                refuse(private_, &who, "the connection cannot be set up");
                peer_free(peer);
        }
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        Private *private_ = userdata;
        int peer_fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (peer_fd >= 0) {
                add_peer(private_, peer_fd);
                return 0;
        }
        if (errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS)
                return 0; /* gone again */
        log_warning("%s: a connection has to wait: %s", private_->path, strerror(errno));
        (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
        (void)sd_event_source_set_time_relative(private_->again, ACCEPT_AGAIN_USEC);
        return sd_event_source_set_enabled(private_->again, SD_EVENT_ONESHOT);
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
        return sd_event_source_set_enabled(((Private *)userdata)->listener, SD_EVENT_ON);
}

static int make_directory(const char *path)
{
        _cleanup_(freep) char *directory = strdup(path);

        if (!directory)
                return -ENOMEM;
        for (char *slash = strchr(directory + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                if (mkdir(directory, 0755) < 0 && errno != EEXIST)
                        return -errno;
                *slash = '/';
        }
        return 0;
}

static int set_path(struct sockaddr_un *address, const char *path)
{
        *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
        if (strlen(path) >= sizeof(address->sun_path))
                return -ENAMETOOLONG;
        memcpy(address->sun_path, path, strlen(path));
        return 0;
}

/* A socket that nobody listens on is left over from a daemon that was killed. */
static int check_way(const char *path)
{
        struct sockaddr_un address;
        _cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int r = set_path(&address, path);

        if (fd < 0 || r < 0)
                return fd < 0 ? -errno : r;
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) >= 0 || errno == EAGAIN)
                return -EADDRINUSE;
        return errno == ECONNREFUSED || errno == ENOENT ? 0 : -errno;
}

/* Under another name until it takes connections: who sees it may use it. */
static int listen_at(Private *private_)
{
        _cleanup_(freep) char *path = NULL;
        struct sockaddr_un address;
        struct stat st;
        int r;

        if (asprintf(&path, "%s.new", private_->path) < 0)
                return -ENOMEM;
        r = make_directory(private_->path);
        if (r >= 0)
                r = check_way(private_->path);
        if (r >= 0)
                r = set_path(&address, path);
        if (r < 0)
                return r;
        (void)unlink(path);
        private_->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        /* the mode is that of the fd at the moment of bind() */
        if (private_->fd < 0 || fchmod(private_->fd, 0700) < 0 ||
            bind(private_->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            listen(private_->fd, SOMAXCONN) < 0 || stat(path, &st) < 0 ||
            rename(path, private_->path) < 0)
                return -errno;
        private_->inode = st.st_ino;
        return 0;
}

static int start_sources(Private *private_)
{
        sd_event *event = private_->face->manager->event;
        int r;

        r = sd_event_add_io(event, &private_->listener, private_->fd, EPOLLIN, on_connection,
                            private_);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &private_->again, CLOCK_MONOTONIC, 0, 0,
                                               on_again, private_);
        if (r >= 0)
                r = sd_event_source_set_enabled(private_->again, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_defer(event, &private_->cut, on_cut, private_);
        return r < 0 ? r : sd_event_source_set_enabled(private_->cut, SD_EVENT_OFF);
}

int private_new(Face *face, const char *path, Private **ret, ch_error **err)
{
        Private *private_ = calloc(1, sizeof(*private_));
        int r = -ENOMEM;

        if (private_) {
                *private_ = (Private){ .face = face, .fd = -EBADF, .path = strdup(path) };
                r = private_->path ? listen_at(private_) : -ENOMEM;
        }
        if (r >= 0)
                r = start_sources(private_);
        if (r < 0) {
                private_free(private_);
                return error_set(err, CH_ERROR_FAILED, -r, path,
                                 r == -EADDRINUSE
                                         ? "another service manager listens here (%s): end it, or "
                                           "set PrivateSocket= in [Runtime]"
                                         : "the private socket cannot be made (%s): see "
                                           "PrivateSocket= in [Runtime]",
                                 strerror(-r));
        }
        *ret = private_;
        return 0;
}

Private *private_free(Private *private_)
{
        struct stat st;

        if (!private_)
                return NULL;
        while (private_->peers)
                peer_free(private_->peers);
        sd_event_source_disable_unref(private_->listener);
        sd_event_source_disable_unref(private_->again);
        sd_event_source_disable_unref(private_->cut);
        if (private_->inode && stat(private_->path, &st) >= 0 && st.st_ino == private_->inode)
                (void)unlink(private_->path);
        safe_close(private_->fd);
        free(private_->path);
        free(private_);
        return NULL;
}

/* ---- signals ---- */

size_t private_n_peers(const Private *private_)
{
        return private_ ? private_->n_peers : 0;
}

sd_bus *private_get_bus(const Private *private_)
{
        return private_ && private_->peers ? private_->peers->bus : NULL;
}

void private_send_all(Private *private_, sd_bus_message *signal)
{
        for (Peer *peer = private_ ? private_->peers : NULL; peer; peer = peer->next) {
                if (peer->doomed || sd_bus_is_ready(peer->bus) <= 0)
                        continue; /* before its handshake is done a peer is nobody */
                /* sd-bus sends one sealed message to as many as one likes */
                (void)sd_bus_send(peer->bus, signal, NULL);
                check_queue(peer);
        }
}

int private_is_flushed(Private *private_)
{
        for (Peer *peer = private_ ? private_->peers : NULL; peer; peer = peer->next) {
                uint64_t n = 0;

                if (!peer->doomed && sd_bus_get_n_queued_write(peer->bus, &n) >= 0 && n > 0)
                        return 0;
        }
        return 1;
}

int private_is_slow(sd_bus *bus)
{
        uint64_t n = 0;

        return sd_bus_is_bus_client(bus) <= 0 && sd_bus_get_n_queued_write(bus, &n) >= 0 &&
               n > SLOW_QUEUE;
}
