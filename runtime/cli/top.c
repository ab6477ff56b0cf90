// The picture that moves: a terminal of its own, a status each second, keys and the terminal's size
// in between. Signals come by a descriptor, so that nothing has to be global.

#include "base/alloc.h"
#include "base/check.h"
#include "cli/admin_address.h"
#include "cli/client.h"
#include "cli/top_frame.h"
#include "loop/loop.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

enum {
  TIMEOUT_MS = 1000,
  EVERY_MS = 1000,
  STATUS_OK = 200,
  FRAME_SIZE = 1 << 20,
  EVENTS_SHOWN = 6,
  ESCAPE = 27,
};

// The other screen, without a cursor; lines that are too long are cut by the terminal.
#define ENTER "\033[?1049h\033[?25l\033[?7l\033[2J"
#define LEAVE "\033[?7h\033[?25h\033[?1049l"

struct top {
  const struct wr_options *options;
  struct wr_top_view view;
  json_t *status;
  struct termios before; // of the terminal
  bool has_keys;         // stdin is a terminal too
  bool is_over;
  size_t scroll; // lines of the body above the screen
  int signals;
  char trouble[WR_ERROR_MESSAGE_MAX + WR_ADMIN_ADDRESS_MAX + 64];
  char *frame; // FRAME_SIZE bytes
};

// --- the status ---------------------------------------------------------------------------------

static void take(struct top *t, json_t *status)
{
  struct wr_snapshot before = t->view.now;
  wr_snapshot_read(&t->view.now, status);
  if (t->status != NULL) {
    wr_snapshot_since(&t->view.now, &before);
    t->view.history[t->view.seconds++ % WR_TOP_HISTORY] = t->view.now.per_s;
  }
  wr_top_events_note(&t->view.events, t->status, status);
  json_decref(t->status);
  t->status = status;
  t->view.status = status;
  t->view.trouble = NULL;
}

// One that does not answer any more may do so again: its last picture stays, with the reason.
static void ask(struct top *t)
{
  char room[WR_ADMIN_ADDRESS_MAX];
  const char *address = wr_admin_address_default(wr_options_get(t->options, "admin"), room);
  struct wr_client_request request = {.method = "GET", .path = "/status", .timeout_ms = TIMEOUT_MS};
  struct wr_client_reply reply;
  struct wr_error error;
  int os_error;
  json_t *status = NULL;
  if (wr_client_send(address, &request, &reply, &error, &os_error)) {
    if (reply.status == STATUS_OK) {
      status = json_loadb(wr_buf_str(&reply.body).ptr, reply.body.len, 0, NULL);
    }
    wr_error_set(&error, WR_ERROR_PROTOCOL, "the answer is no status page");
  }
  wr_buf_fini(&reply.body);
  if (json_is_object(status)) {
    take(t, status);
    return;
  }
  json_decref(status);
  snprintf(t->trouble, sizeof(t->trouble), "no weir answers at %s: %s", address,
           os_error ? strerror(os_error) : error.message);
  t->view.trouble = t->trouble;
}

// --- the screen ---------------------------------------------------------------------------------

// Writes a frame by `draw` into memory; returns its length.
static size_t render(struct top *t,
                     void (*draw)(const struct wr_top_view *v, FILE *out, const struct wr_style *s))
{
  struct wr_style style = wr_style_of(stdout);
  FILE *out = fmemopen(t->frame, FRAME_SIZE, "w");
  WR_CHECK(out != NULL);
  draw(&t->view, out, &style);
  long len = ftell(out);
  fclose(out);
  return len > 0 ? (size_t)len : 0;
}

static size_t count_lines(const char *text, size_t len)
{
  size_t count = 0;
  for (size_t i = 0; i < len; i++) count += text[i] == '\n';
  return count;
}

// Puts lines `from` to `from + most` of the frame; returns how many there were.
static size_t put_lines(const struct top *t, size_t len, size_t from, size_t most)
{
  size_t line = 0;
  const char *end = t->frame + len;
  for (const char *at = t->frame; at < end;) {
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    if (stop == NULL) stop = end;
    if (line >= from && line < from + most) {
      printf("%.*s\033[K\n", (int)(stop - at), at);
    }
    line++;
    at = stop + 1;
  }
  return line <= from ? 0 : line - from < most ? line - from : most;
}

static size_t height_of(void)
{
  struct winsize size;
  bool is_known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0;
  return is_known ? size.ws_row : 24;
}

static void draw(struct top *t)
{
  size_t height = height_of();
  size_t kept = t->view.events.count < EVENTS_SHOWN ? t->view.events.count : EVENTS_SHOWN;
  size_t below = kept + 2; // a line of keys and an empty one
  fputs("\033[H", stdout);
  size_t len = render(t, wr_top_frame_head);
  size_t above = put_lines(t, len, 0, height);
  size_t room = height > above + below ? height - above - below : 0;
  len = render(t, wr_top_frame_body);
  size_t lines = count_lines(t->frame, len);
  size_t most = lines > room ? lines - room : 0;
  if (t->scroll > most) t->scroll = most;
  for (size_t i = put_lines(t, len, t->scroll, room); i < room; i++) fputs("\033[K\n", stdout);
  fputs("\033[K\n\033[J", stdout);
  wr_top_events_print(&t->view.events, kept, stdout);
  printf("\033[Kq quit  space stop  j k scroll%s", most > 0 ? " (there is more)" : "");
  fflush(stdout);
}

// --- keys and signals ---------------------------------------------------------------------------

// The key at `*at`, which moves past it; the arrows are j and k.
static char take_key(const char *keys, size_t count, size_t *at)
{
  const char *from = keys + *at;
  bool is_arrow = from[0] == ESCAPE && *at + 2 < count && from[1] == '[';
  *at += is_arrow ? 3 : 1;
  if (!is_arrow) return from[0];
  return from[2] == 'A' ? 'k' : from[2] == 'B' ? 'j' : '\0';
}

static void press(struct top *t, const char *keys, size_t count)
{
  for (size_t i = 0; i < count;) {
    char key = take_key(keys, count, &i);
    if (key == 'q') t->is_over = true;
    if (key == ' ') t->view.is_paused = !t->view.is_paused;
    if (key == 'j') t->scroll++;
    if (key == 'k' && t->scroll > 0) t->scroll--;
  }
}

static void read_keys(struct top *t)
{
  char keys[64];
  ssize_t count = read(STDIN_FILENO, keys, sizeof(keys));
  if (count > 0) {
    press(t, keys, (size_t)count);
  } else {
    t->has_keys = false; // the terminal is gone
    t->is_over = true;
  }
}

static void show(struct top *t)
{
  if (t->has_keys) {
    struct termios raw = t->before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  }
  fputs(ENTER, stdout);
}

static void hide(struct top *t)
{
  fputs(LEAVE, stdout);
  fflush(stdout);
  if (t->has_keys) tcsetattr(STDIN_FILENO, TCSANOW, &t->before);
}

// The shell gets its terminal back while we are stopped.
static void pause_process(struct top *t)
{
  hide(t);
  kill(getpid(), SIGSTOP);
  show(t);
}

static void read_signal(struct top *t)
{
  struct signalfd_siginfo info;
  if (read(t->signals, &info, sizeof(info)) != sizeof(info)) return;
  if (info.ssi_signo == SIGTSTP) {
    pause_process(t);
  } else if (info.ssi_signo != SIGWINCH) {
    t->is_over = true;
  }
}

// Waits for the next second, drawing anew after every key and change of size.
static void wait_until(struct top *t, uint64_t until_ns)
{
  for (;;) {
    uint64_t now = wr_loop_clock();
    if (t->is_over || now >= until_ns) return;
    struct pollfd fds[] = {{.fd = t->signals, .events = POLLIN},
                           {.fd = t->has_keys ? STDIN_FILENO : -1, .events = POLLIN}};
    int ready = poll(fds, WR_COUNT(fds), (int)((until_ns - now) / 1000000 + 1));
    if (ready <= 0) continue;
    if (fds[0].revents) read_signal(t);
    if (fds[1].revents) read_keys(t);
    if (!t->is_over) draw(t);
  }
}

static void enter(struct top *t)
{
  sigset_t set;
  sigemptyset(&set);
  static const int wanted[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP};
  for (size_t i = 0; i < WR_COUNT(wanted); i++) sigaddset(&set, wanted[i]);
  sigprocmask(SIG_BLOCK, &set, NULL);
  t->signals = signalfd(-1, &set, SFD_CLOEXEC);
  WR_CHECK(t->signals >= 0);
  t->has_keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &t->before) == 0;
  show(t);
}

static void run(struct top *t)
{
  enter(t);
  while (!t->is_over) {
    uint64_t next_ns = wr_loop_clock() + EVERY_MS * UINT64_C(1000000);
    if (!t->view.is_paused) ask(t);
    draw(t);
    wait_until(t, next_ns);
  }
  hide(t);
  close(t->signals);
}

// One that knows escape sequences.
static bool has_terminal(void)
{
  const char *term = getenv("TERM");
  return isatty(STDOUT_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
}

// Where there is no terminal.
static void print_once(const struct wr_top_view *view)
{
  struct wr_style style = wr_style_of(stdout);
  wr_top_frame_head(view, stdout, &style);
  wr_top_frame_body(view, stdout, &style);
}

int wr_cli_top(int argc, char **argv)
{
  struct wr_options o;
  int code;
  if (!wr_options_parse(&o, argc, argv)) return o.exit_code;
  struct top t = {.options = &o};
  json_t *status = wr_snapshot_fetch(&o, &code); // one that never answered is told of as usual
  if (status == NULL) return code;
  take(&t, status);
  if (wr_options_get(&o, "json") != NULL) {
    json_dumpf(status, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));
    putchar('\n');
  } else if (has_terminal()) {
    t.frame = wr_alloc(FRAME_SIZE);
    run(&t);
    wr_free(t.frame);
  } else {
    print_once(&t.view);
  }
  json_decref(t.status);
  return WR_EXIT_OK;
}
