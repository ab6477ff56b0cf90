#include "policy/route_tree.h"

#include "base/alloc.h"
#include "base/check.h"

struct edge {
  struct wr_str segment;
  struct wr_route_node *to;
};

// One segment of a path; the root stands before the first.
struct wr_route_node {
  struct edge *literals; // ordered by `compare`
  size_t literal_count;
  struct wr_route_node *param;
  struct wr_route_leaf *end;  // paths that end here
  struct wr_route_leaf *rest; // paths that go on with a wildcard
  struct wr_route_node *next_in_tree;
};

// Life cycle

static struct wr_route_node *new_node(struct wr_route_tree *tree)
{
  struct wr_route_node *n = wr_alloc(sizeof(*n));
  n->next_in_tree = tree->nodes;
  tree->nodes = n;
  return n;
}

void wr_route_tree_init(struct wr_route_tree *tree)
{
  *tree = (struct wr_route_tree){0};
  tree->root = new_node(tree);
}

static void free_leaf(struct wr_route_leaf *leaf)
{
  if (leaf == NULL) return;
  wr_free(leaf->routes);
  wr_free(leaf);
}

void wr_route_tree_fini(struct wr_route_tree *tree)
{
  for (struct wr_route_node *n = tree->nodes, *next; n != NULL; n = next) {
    next = n->next_in_tree;
    wr_free(n->literals);
    free_leaf(n->end);
    free_leaf(n->rest);
    wr_free(n);
  }
  *tree = (struct wr_route_tree){0};
}

// Nodes

// Any total order will do; lengths first saves comparing most bytes.
static int compare(struct wr_str a, struct wr_str b)
{
  if (a.len != b.len) return a.len < b.len ? -1 : 1;
  return a.len == 0 ? 0 : memcmp(a.ptr, b.ptr, a.len);
}

// The first literal that is not before `segment`.
static size_t locate(const struct wr_route_node *n, struct wr_str segment)
{
  size_t low = 0;
  size_t high = n->literal_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (compare(n->literals[middle].segment, segment) < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

static struct wr_route_node *find_literal(const struct wr_route_node *n, struct wr_str segment)
{
  size_t at = locate(n, segment);
  if (at == n->literal_count || compare(n->literals[at].segment, segment) != 0) return NULL;
  return n->literals[at].to;
}

static struct wr_route_node *find_child(const struct wr_route_node *n,
                                        const struct wr_route_part *part)
{
  return part->kind == WR_ROUTE_PARAM ? n->param : find_literal(n, part->text);
}

static struct wr_route_node *add_child(struct wr_route_tree *tree, struct wr_route_node *n,
                                       const struct wr_route_part *part)
{
  struct wr_route_node *child = new_node(tree);
  if (part->kind == WR_ROUTE_PARAM) return n->param = child;
  size_t at = locate(n, part->text);
  n->literals = wr_realloc(n->literals, (n->literal_count + 1) * sizeof(*n->literals));
  memmove(n->literals + at + 1, n->literals + at, (n->literal_count - at) * sizeof(*n->literals));
  n->literals[at] = (struct edge){part->text, child};
  n->literal_count++;
  return child;
}

// Leaves

// A wildcard is a leaf of the node before it, and no node itself.
static bool has_wildcard(const struct wr_route_pattern *p)
{
  return p->parts[p->part_count - 1].kind == WR_ROUTE_WILDCARD;
}

struct wr_route_leaf *wr_route_tree_leaf(const struct wr_route_tree *tree,
                                         const struct wr_route_pattern *p)
{
  const struct wr_route_node *n = tree->root;
  size_t steps = p->part_count - has_wildcard(p);
  for (size_t i = 0; n != NULL && i < steps; i++) n = find_child(n, &p->parts[i]);
  if (n == NULL) return NULL;
  return has_wildcard(p) ? n->rest : n->end;
}

static struct wr_route_leaf *add_leaf(struct wr_route_tree *tree, const struct wr_route_pattern *p)
{
  struct wr_route_node *n = tree->root;
  size_t steps = p->part_count - has_wildcard(p);
  for (size_t i = 0; i < steps; i++) {
    struct wr_route_node *child = find_child(n, &p->parts[i]);
    n = child ? child : add_child(tree, n, &p->parts[i]);
  }
  struct wr_route_leaf *leaf = wr_alloc(sizeof(*leaf));
  for (size_t i = 0; i < p->part_count; i++) {
    if (p->parts[i].kind != WR_ROUTE_LITERAL) leaf->names[leaf->name_count++] = p->parts[i].text;
  }
  if (has_wildcard(p)) return n->rest = leaf;
  return n->end = leaf;
}

static size_t slot_of(const struct wr_route_leaf *leaf, uint32_t bit)
{
  return (size_t)__builtin_popcount(leaf->methods & (bit - 1));
}

const void *wr_route_tree_route(const struct wr_route_leaf *leaf, uint32_t bit)
{
  WR_CHECK((leaf->methods & bit) != 0);
  return leaf->routes[slot_of(leaf, bit)];
}

static void fill_leaf(struct wr_route_leaf *leaf, uint32_t methods, const void *route)
{
  size_t count = (size_t)__builtin_popcount(leaf->methods);
  size_t added = (size_t)__builtin_popcount(methods);
  leaf->routes = wr_realloc(leaf->routes, (count + added) * sizeof(*leaf->routes));
  for (uint32_t left = methods; left != 0; left &= left - 1) {
    uint32_t bit = left & -left;
    size_t at = slot_of(leaf, bit);
    memmove(leaf->routes + at + 1, leaf->routes + at, (count - at) * sizeof(*leaf->routes));
    leaf->routes[at] = route;
    leaf->methods |= bit;
    count++;
  }
}

void wr_route_tree_add(struct wr_route_tree *tree, const struct wr_route_pattern *p,
                       uint32_t methods, const void *route)
{
  struct wr_route_leaf *leaf = wr_route_tree_leaf(tree, p);
  if (leaf == NULL) leaf = add_leaf(tree, p);
  WR_CHECK((leaf->methods & methods) == 0);
  fill_leaf(leaf, methods, route);
}

// Search

enum choice { LITERAL, PARAM, REST, NOTHING_LEFT };

// A node on the way, and what was tried there.
struct frame {
  const struct wr_route_node *node;
  struct wr_str segment; // the one to be matched by a child
  bool is_last;          // no segment follows
  enum choice next;
  size_t value_count; // parameters on the way here
};

static struct frame arrive(const struct wr_route_node *node, struct wr_str rest, size_t value_count)
{
  const char *slash = rest.len ? memchr(rest.ptr, '/', rest.len) : NULL;
  size_t len = slash ? (size_t)(slash - rest.ptr) : rest.len;
  return (struct frame){node, {rest.ptr, len}, slash == NULL, LITERAL, value_count};
}

// What of the path comes at and after `at`.
static struct wr_str rest_from(const struct wr_route_search *s, const char *at)
{
  return (struct wr_str){at, s->path.len - (size_t)(at - s->path.ptr)};
}

static const void *try_leaf(struct wr_route_search *s, const struct wr_route_leaf *leaf)
{
  if (leaf == NULL) return NULL;
  s->allowed |= leaf->methods;
  for (size_t i = 0; i < WR_COUNT(s->wanted); i++) {
    if ((leaf->methods & s->wanted[i]) == 0) continue;
    s->leaf = leaf;
    return wr_route_tree_route(leaf, s->wanted[i]);
  }
  return NULL;
}

// The child of one choice, or NULL; the value that a parameter takes is noted.
static const struct wr_route_node *choose(struct wr_route_search *s, const struct frame *f,
                                          enum choice choice)
{
  if (choice == LITERAL) return find_literal(f->node, f->segment);
  if (f->node->param == NULL || f->segment.len == 0) return NULL;
  s->values[f->value_count] = f->segment;
  return f->node->param;
}

// The leaf of the wildcard, or NULL; the value that it takes is noted.
static const struct wr_route_leaf *choose_rest(struct wr_route_search *s, const struct frame *f)
{
  if (f->node->rest == NULL) return NULL;
  s->values[f->value_count] = rest_from(s, f->segment.ptr);
  return f->node->rest;
}

const void *wr_route_tree_search(const struct wr_route_tree *tree, struct wr_route_search *s)
{
  if (s->path.len == 0 || s->path.ptr[0] != '/') return NULL;
  struct frame frames[WR_ROUTE_SEGMENTS_MAX + 1]; // no node is deeper than a pattern is long
  size_t depth = 0;
  frames[depth++] = arrive(tree->root, rest_from(s, s->path.ptr + 1), 0);
  while (depth > 0) {
    struct frame *f = &frames[depth - 1];
    enum choice choice = f->next++;
    const struct wr_route_leaf *leaf = NULL;
    if (choice == NOTHING_LEFT) {
      depth--;
    } else if (choice == REST) {
      leaf = choose_rest(s, f);
    } else {
      const struct wr_route_node *child = choose(s, f, choice);
      if (child == NULL) continue;
      if (f->is_last) {
        leaf = child->end;
      } else {
        const char *next = f->segment.ptr + f->segment.len + 1;
        frames[depth++] = arrive(child, rest_from(s, next), f->value_count + (choice == PARAM));
      }
    }
    const void *route = try_leaf(s, leaf);
    if (route != NULL) return route;
  }
  return NULL;
}
