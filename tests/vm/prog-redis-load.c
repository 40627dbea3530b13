/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fills a Redis server with keys and then keeps it under traffic whose every answer is checked, writing down
 * throughput and the longest stall of each tenth of a second.
 *
 *     redis-load fill SOCKET KEYS VALUE_BYTES
 *     redis-load traffic SOCKET KEYS VALUE_BYTES LOGFILE      (until SIGTERM)
 *
 * The value of a key is a function of its number, so a SET rewrites memory without changing the data set: the digest
 * of the whole server must stay equal, and a GET that returns something else is an error.
 * A line of LOGFILE: CLOCK_MONOTONIC in µs at the end of the window, operations, longest operation in µs, errors so far.
 */

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <hiredis/hiredis.h>

enum {
        POOL_BYTES = 1 << 20,
        PIPELINE = 64,
        WINDOW_USEC = 100000,
        SET_PERCENT = 20,
};

typedef struct Load {
        redisContext *redis;
        uint64_t keys;
        size_t value_bytes;
        char pool[POOL_BYTES];  /* random bytes; a value is a slice of it */
        uint64_t random;
        uint64_t errors;
} Load;

static volatile sig_atomic_t stopping;

static void on_signal(int signum)
{
        (void)signum;
        stopping = 1;
}

static uint64_t next_random(uint64_t *state)
{
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        return *state;
}

static uint64_t now_usec(void)
{
        struct timespec ts;

        (void)clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static const char *value_of(const Load *load, uint64_t key)
{
        uint64_t state = key * 0x9e3779b97f4a7c15ull + 1;

        return load->pool + next_random(&state) % (POOL_BYTES - load->value_bytes);
}

static int fill(Load *load)
{
        uint64_t sent = 0, answered = 0;

        while (answered < load->keys) {
                redisReply *reply;

                while (sent < load->keys && sent - answered < PIPELINE) {
                        if (redisAppendCommand(load->redis, "SET key:%llu %b", (unsigned long long)sent,
                                               value_of(load, sent), load->value_bytes) != REDIS_OK)
                                return -ENOMEM;
                        sent++;
                }
                if (redisGetReply(load->redis, (void **)&reply) != REDIS_OK)
                        return -EIO;
                if (reply->type == REDIS_REPLY_ERROR) {
                        fprintf(stderr, "redis-load: SET key:%llu: %s\n", (unsigned long long)answered, reply->str);
                        freeReplyObject(reply);
                        return -EIO;
                }
                freeReplyObject(reply);
                answered++;
        }
        return 0;
}

/* One checked operation; -EIO when the connection is lost. */
static int one_operation(Load *load)
{
        uint64_t key = next_random(&load->random) % load->keys;
        int set = next_random(&load->random) % 100 < SET_PERCENT;
        const char *value = value_of(load, key);
        redisReply *reply;
        int good;

        if (set)
                reply = redisCommand(load->redis, "SET key:%llu %b", (unsigned long long)key, value,
                                     load->value_bytes);
        else
                reply = redisCommand(load->redis, "GET key:%llu", (unsigned long long)key);
        if (!reply)
                return -EIO;
        if (set)
                good = reply->type == REDIS_REPLY_STATUS;
        else
                good = reply->type == REDIS_REPLY_STRING && (size_t)reply->len == load->value_bytes &&
                       memcmp(reply->str, value, load->value_bytes) == 0;
        if (!good)
                load->errors++;
        freeReplyObject(reply);
        return 0;
}

static int traffic(Load *load, const char *log_path)
{
        FILE *log = fopen(log_path, "we");
        uint64_t window_start, started, operations = 0, longest = 0;
        int r = 0;

        if (!log)
                return -errno;
        window_start = started = now_usec();
        while (!stopping) {
                uint64_t done;

                r = one_operation(load);
                if (r < 0)
                        break;
                done = now_usec();
                operations++;
                if (done - started > longest)
                        longest = done - started;
                started = done;
                if (done - window_start < WINDOW_USEC)
                        continue;
                fprintf(log, "%llu %llu %llu %llu\n", (unsigned long long)done, (unsigned long long)operations,
                        (unsigned long long)longest, (unsigned long long)load->errors);
                fflush(log);
                window_start = done;
                operations = longest = 0;
        }
        if (fclose(log) < 0 && r == 0)
                r = -errno;
        return r;
}

static int usage(void)
{
        fprintf(stderr, "usage: redis-load fill SOCKET KEYS VALUE_BYTES\n"
                        "       redis-load traffic SOCKET KEYS VALUE_BYTES LOGFILE\n");
        return 2;
}

int main(int argc, char *argv[])
{
        static Load load;
        uint64_t seed = 0x2545f4914f6cdd1dull;
        int is_fill, r;

        if (argc < 5)
                return usage();
        is_fill = strcmp(argv[1], "fill") == 0;
        if (argc != (is_fill ? 5 : 6))
                return usage();
        load.keys = strtoull(argv[3], NULL, 10);
        load.value_bytes = strtoull(argv[4], NULL, 10);
        if (load.keys == 0 || load.value_bytes == 0 || load.value_bytes >= POOL_BYTES)
                return usage();
        for (size_t i = 0; i < POOL_BYTES; i += sizeof(uint64_t)) {
                uint64_t word = next_random(&seed);

                memcpy(load.pool + i, &word, sizeof(word));
        }
        load.random = now_usec() | 1;

        load.redis = redisConnectUnix(argv[2]);
        if (!load.redis || load.redis->err) {
                fprintf(stderr, "redis-load: %s: %s\n", argv[2], load.redis ? load.redis->errstr : "out of memory");
                return EXIT_FAILURE;
        }
        (void)signal(SIGTERM, on_signal);
        r = is_fill ? fill(&load) : traffic(&load, argv[5]);
        if (r < 0)
                fprintf(stderr, "redis-load: connection to %s lost: %s\n", argv[2], load.redis->errstr);
        redisFree(load.redis);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
