/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process connector: fork, exec and exit of the whole host into the mm registry. */

#include <linux/connector.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <linux/cn_proc.h>

#include "error.h"
#include "registry.h"
#include "util.h"

enum {
        BATCH = 64,          /* messages of one system call */
        MESSAGE_BYTES = 128, /* 76 are sent */
        /* An event takes about 1 KiB of it: 16,000 of them may wait. */
        RECEIVE_BUFFER_BYTES = 16 << 20,
        /* The kernel answers before send() returns; more than this is another kernel than we know.
         */
        ANSWER_MSEC = 250,
        /* While a storm goes on the queue may never be empty. */
        DRAIN_MAX = 1 << 17,
};

/* include/uapi/linux/cn_proc.h since 6.6; older kernels take the first member alone. */
typedef struct FeedRequest {
        uint32_t op, events;
} FeedRequest;

#define FEED_EVENTS                                                                                \
        ((uint32_t)PROC_EVENT_FORK | (uint32_t)PROC_EVENT_EXEC | (uint32_t)PROC_EVENT_EXIT)
/* All that 6.6 knows, which turns its filter off. */
#define FEED_EVENTS_ALL 0xe00003c7u

typedef struct FeedMessages {
        struct mmsghdr headers[BATCH];
        struct iovec vectors[BATCH];
        struct sockaddr_nl from[BATCH];
        char bytes[BATCH][MESSAGE_BYTES] __attribute__((aligned(8)));
} FeedMessages;

struct ch_feed {
        ch_registry *registry;
        int fd;
        int is_stale;    /* events were taken and not applied: memory ran out */
        int is_filtered; /* only what we want is sent; numbers have gaps then, which mean nothing */
        uint32_t *numbers; /* next of each CPU; 0 none came yet */
        size_t n_cpus;
        FeedMessages messages;
};

static int request(const ch_feed *feed, uint32_t op, uint32_t events, uint16_t size)
{
        FeedRequest body = { .op = op, .events = events };
        struct cn_msg connector = {
                .id = {.idx = CN_IDX_PROC, .val = CN_VAL_PROC},
                  .len = size
        };
        struct nlmsghdr netlink = { .nlmsg_len = (uint32_t)(NLMSG_LENGTH(sizeof(connector)) + size),
                                    .nlmsg_type = NLMSG_DONE };
        struct iovec parts[] = {
                {&netlink,    sizeof(netlink)  },
                { &connector, sizeof(connector)},
                { &body,      size             }
        };
        struct msghdr message = { .msg_iov = parts, .msg_iovlen = ELEMENTSOF(parts) };

        return sendmsg(feed->fd, &message, 0) < 0 ? -errno : 0;
}

/* How many messages are there now; 0 none. */
static int receive(ch_feed *feed, unsigned max)
{
        FeedMessages *m = &feed->messages;
        int n;

        for (size_t i = 0; i < BATCH; i++) {
                m->vectors[i] = (struct iovec){ .iov_base = m->bytes[i], .iov_len = MESSAGE_BYTES };
                m->headers[i].msg_hdr = (struct msghdr){ .msg_name = &m->from[i],
                                                         .msg_namelen = sizeof(m->from[i]),
                                                         .msg_iov = &m->vectors[i],
                                                         .msg_iovlen = 1 };
        }
        n = recvmmsg(feed->fd, m->headers, max < BATCH ? max : BATCH, MSG_DONTWAIT, NULL);
        if (n >= 0)
                return n;
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

/* 1 if it is an event of the kernel's process connector. */
static int get_event(const FeedMessages *messages, size_t i, struct proc_event *ret,
                     uint32_t *ret_number)
{
        const char *bytes = messages->bytes[i];
        size_t at = NLMSG_HDRLEN + sizeof(struct cn_msg);
        struct cn_msg connector;

        if (messages->headers[i].msg_len < at + sizeof(*ret) || messages->from[i].nl_pid != 0)
                return 0;
        memcpy(&connector, bytes + NLMSG_HDRLEN, sizeof(connector));
        if (connector.id.idx != CN_IDX_PROC || connector.id.val != CN_VAL_PROC)
                return 0;
        memcpy(ret, bytes + at, sizeof(*ret));
        *ret_number = connector.seq;
        return 1;
}

/* The answer to a request among what else comes: 1 with *ret, 0 none so far. */
static int find_answer(ch_feed *feed, int *ret)
{
        struct proc_event event;
        uint32_t number;
        int n = receive(feed, BATCH), found = 0;

        if (n < 0)
                return n == -ENOBUFS ? 0 : n;
        for (int i = 0; i < n; i++) {
                if (!get_event(&feed->messages, (size_t)i, &event, &number) ||
                    event.what != PROC_EVENT_NONE)
                        continue;
                *ret = -(int)event.event_data.ack.err;
                found = 1;
        }
        return found;
}

/* -ETIMEDOUT: nobody answers. */
static int wait_answer(ch_feed *feed)
{
        uint64_t deadline = now_usec() + ANSWER_MSEC * 1000;

        for (;;) {
                struct pollfd poller = { .fd = feed->fd, .events = POLLIN };
                uint64_t now = now_usec();
                int answer, r = find_answer(feed, &answer);

                if (r != 0)
                        return r < 0 ? r : answer;
                if (now >= deadline)
                        return -ETIMEDOUT;
                (void)poll(&poller, 1, (int)((deadline - now) / 1000) + 1);
        }
}

/*
 * From 6.6 on the request has a mask of events; before that it is ignored without an answer. Once a
 * mask is set, answers are masked as well: so the mask comes second.
 */
static int listen_to_kernel(ch_feed *feed)
{
        int r = request(feed, PROC_CN_MCAST_LISTEN, FEED_EVENTS_ALL, sizeof(FeedRequest));

        if (r == 0)
                r = wait_answer(feed);
        if (r == 0) {
                feed->is_filtered = 1;
                return request(feed, PROC_CN_MCAST_LISTEN, FEED_EVENTS, sizeof(FeedRequest));
        }
        if (r != -ETIMEDOUT)
                return r;
        r = request(feed, PROC_CN_MCAST_LISTEN, 0, sizeof(uint32_t));
        return r < 0 ? r : wait_answer(feed);
}

static int error_listen(int r, ch_error **err)
{
        if (r == -EPERM || r == -EACCES)
                return error_set(err, CH_ERROR_NOT_PERMITTED, EPERM, NULL,
                                 "not allowed to hear of processes that start and end: run as root "
                                 "or with CAP_NET_ADMIN");
        if (r == -ECONNREFUSED || r == -ETIMEDOUT)
                return error_set(
                        err, CH_ERROR_NOT_SUPPORTED, 0, NULL,
                        "the process connector does not answer: the kernel lacks "
                        "CONFIG_PROC_EVENTS, or this is not the host's own network, pid and "
                        "user namespace");
        if (r == -EPROTONOSUPPORT || r == -EAFNOSUPPORT)
                return error_set(err, CH_ERROR_NOT_SUPPORTED, 0, NULL,
                                 "this kernel has no connector: CONFIG_CONNECTOR and "
                                 "CONFIG_PROC_EVENTS are needed");
        return error_errno(err, -r, "process connector", "listen to");
}

static int open_socket(ch_feed *feed)
{
        struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC };
        int size = RECEIVE_BUFFER_BYTES;

        feed->fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_CONNECTOR);
        if (feed->fd < 0)
                return -errno;
        /* a smaller one loses events earlier, which is made good */
        if (setsockopt(feed->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
                (void)setsockopt(feed->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
        if (bind(feed->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return -errno;
        return listen_to_kernel(feed);
}

_public_ int ch_feed_new(ch_registry *registry, ch_feed **ret, ch_error **err)
{
        ch_feed *feed = calloc(1, sizeof(*feed));
        int r;

        if (!feed)
                return error_set(err, CH_ERROR_NO_MEMORY, 0, NULL, "out of memory");
        feed->registry = registry;
        r = open_socket(feed);
        r = r < 0 ? error_listen(r, err) : ch_registry_resync(registry, err);
        if (r < 0) {
                (void)ch_feed_free(feed);
                return r;
        }
        *ret = feed;
        return 0;
}

_public_ ch_feed *ch_feed_free(ch_feed *feed)
{
        if (!feed)
                return NULL;
        if (feed->fd >= 0) {
                /* else the kernel would go on to make events for nobody */
                (void)request(feed, PROC_CN_MCAST_IGNORE, 0, sizeof(uint32_t));
                (void)safe_close(feed->fd);
        }
        free(feed->numbers);
        free(feed);
        return NULL;
}

_public_ int ch_feed_get_fd(const ch_feed *feed)
{
        return feed->fd;
}

/* 1 if events of this CPU are missing before this one. */
static int is_gap(ch_feed *feed, const struct proc_event *event, uint32_t number)
{
        uint32_t cpu = event->cpu, before;
        size_t n = feed->n_cpus;

        /* answers have numbers of their own */
        if (feed->is_filtered || event->what == PROC_EVENT_NONE || cpu > INT16_MAX)
                return 0;
        if (cpu >= n) {
                if (array_reserve(&feed->numbers, &feed->n_cpus, cpu + 1, sizeof(*feed->numbers)) <
                    0)
                        return 0;
                memset(feed->numbers + n, 0, (feed->n_cpus - n) * sizeof(*feed->numbers));
        }
        before = feed->numbers[cpu];
        feed->numbers[cpu] = number + 1;
        return before != 0 && before != number;
}

static int take(ch_registry *registry, const struct proc_event *event)
{
        switch ((uint32_t)event->what) {
        case PROC_EVENT_FORK:
                if (event->event_data.fork.child_pid == event->event_data.fork.child_tgid)
                        return registry_fork(registry, event->event_data.fork.parent_tgid,
                                             event->event_data.fork.parent_pid,
                                             event->event_data.fork.child_tgid);
                registry_thread_fork(registry, event->event_data.fork.child_tgid);
                return 0;
        case PROC_EVENT_EXEC:
                return ch_registry_exec(registry, event->event_data.exec.process_tgid);
        case PROC_EVENT_EXIT:
                return registry_thread_exit(registry, event->event_data.exit.process_tgid,
                                            event->event_data.exit.process_pid);
        default:
                return 0;
        }
}

/* What waits is older than what will be read now: it goes unread. */
static int make_good(ch_feed *feed, ch_error **err)
{
        int n = 1, r;

        feed->registry->counts.lost++;
        for (int sum = 0; sum < DRAIN_MAX && n != 0 && (n > 0 || n == -ENOBUFS);
             sum += n > 0 ? n : 1)
                n = receive(feed, BATCH);
        if (feed->numbers)
                memset(feed->numbers, 0, feed->n_cpus * sizeof(*feed->numbers));
        r = ch_registry_resync(feed->registry, err);
        feed->is_stale = r < 0;
        return r;
}

/* 1 if all were taken; 0 if some are missing. */
static int take_all(ch_feed *feed, int n)
{
        for (int i = 0; i < n; i++) {
                struct proc_event event;
                uint32_t number;
                int r;

                if (!get_event(&feed->messages, (size_t)i, &event, &number))
                        continue;
                if (is_gap(feed, &event, number))
                        return 0;
                r = take(feed->registry, &event);
                if (r < 0)
                        return r;
        }
        return 1;
}

_public_ int ch_feed_process(ch_feed *feed, unsigned max, ch_error **err)
{
        unsigned sum = 0;
        int r = feed->is_stale ? make_good(feed, err) : 0;

        while (r >= 0 && sum < max) {
                int n = receive(feed, max - sum);

                if (n == 0)
                        break;
                if (n < 0 && n != -ENOBUFS)
                        return error_errno(err, -n, "process connector", "read from");
                sum += n < 0 ? 1 : (unsigned)n;
                r = n < 0 ? 0 : take_all(feed, n);
                if (r > 0)
                        continue;
                if (r == 0) {
                        r = make_good(feed, err);
                        break;
                }
                feed->is_stale = 1;
                return error_errno(err, -r, "/proc", "read a process of");
        }
        return r < 0 ? r : (int)sum;
}
