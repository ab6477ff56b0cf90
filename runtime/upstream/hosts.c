#include "upstream/hosts.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20, READ_BYTES = 4096 };

static const uint64_t CHECK_EVERY_NS = 5000000000u;

static void clear(struct wr_hosts *h)
{
  struct wr_hash_key key = h->names.key;
  size_t at = 0;
  void *answer;
  while ((answer = wr_map_next(&h->names, &at, NULL)) != NULL) wr_free(answer);
  wr_map_fini(&h->names);
  wr_map_init(&h->names, key);
}

// IPv4 stays before IPv6, as in answers of the name server.
static void insert(struct wr_dns_answer *answer, const struct wr_dns_address *address)
{
  if (answer->count == WR_DNS_ADDRESSES_MAX) return;
  size_t at = answer->count++;
  while (!address->is_ipv6 && at > 0 && answer->items[at - 1].is_ipv6) {
    answer->items[at] = answer->items[at - 1];
    at--;
  }
  answer->items[at] = *address;
}

static void add(struct wr_hosts *h, struct wr_str name, const struct wr_dns_address *address)
{
  char lower[WR_DNS_NAME_MAX];
  if (name.len == 0 || name.len > sizeof(lower)) return;
  for (size_t i = 0; i < name.len; i++) lower[i] = wr_str_lower(name.ptr[i]);
  struct wr_str key = {lower, name.len};
  struct wr_dns_answer *answer = wr_map_get(&h->names, key);
  if (answer == NULL) {
    answer = wr_alloc(sizeof(*answer));
    wr_map_put(&h->names, key, answer);
  }
  insert(answer, address);
}

// The next word of a line, absent at its end or at a comment.
static struct wr_str next_word(struct wr_str *line)
{
  *line = wr_str_trim(*line);
  size_t len = 0;
  while (len < line->len && line->ptr[len] != ' ' && line->ptr[len] != '\t' &&
         line->ptr[len] != '\r' && line->ptr[len] != '#') {
    len++;
  }
  struct wr_str word = {len ? line->ptr : NULL, len};
  line->ptr += len;
  line->len -= len;
  return word;
}

static void read_line(struct wr_hosts *h, struct wr_str line)
{
  struct wr_dns_address address;
  if (!wr_dns_numeric(next_word(&line), &address)) return;
  struct wr_str name;
  while ((name = next_word(&line)).len > 0) add(h, name, &address);
}

static void read_file(struct wr_hosts *h, int fd)
{
  struct wr_buf text;
  wr_buf_init(&text, FILE_MAX);
  char *room;
  ssize_t got;
  while ((room = wr_buf_reserve(&text, READ_BYTES)) != NULL &&
         (got = read(fd, room, READ_BYTES)) > 0) {
    wr_buf_grow(&text, (size_t)got);
  }
  struct wr_str rest = wr_buf_str(&text);
  while (rest.ptr != NULL) read_line(h, wr_str_split(&rest, '\n'));
  wr_buf_fini(&text);
  h->reads++;
}

static void reload(struct wr_hosts *h)
{
  clear(h);
  int fd = open(h->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return;
  read_file(h, fd);
  close(fd);
}

static void check(struct wr_hosts *h)
{
  uint64_t stamp[4] = {0};
  struct stat st;
  if (stat(h->path, &st) == 0) {
    stamp[0] = (uint64_t)st.st_ino;
    stamp[1] = (uint64_t)st.st_size;
    stamp[2] = (uint64_t)st.st_mtim.tv_sec;
    stamp[3] = (uint64_t)st.st_mtim.tv_nsec;
  }
  if (memcmp(stamp, h->stamp, sizeof(stamp)) == 0) return;
  memcpy(h->stamp, stamp, sizeof(stamp));
  reload(h);
}

void wr_hosts_init(struct wr_hosts *h, const char *path, struct wr_hash_key key)
{
  *h = (struct wr_hosts){.path = wr_strdup(path ? path : "/etc/hosts")};
  wr_map_init(&h->names, key);
  check(h);
}

void wr_hosts_fini(struct wr_hosts *h)
{
  clear(h);
  wr_free(h->path);
  h->path = NULL;
}

const struct wr_dns_answer *wr_hosts_find(struct wr_hosts *h, uint64_t now_ns, struct wr_str name)
{
  if (now_ns - h->checked_at_ns >= CHECK_EVERY_NS) {
    h->checked_at_ns = now_ns;
    check(h);
  }
  return wr_map_get(&h->names, name);
}
