#pragma once
/// Memory of one Lua state, made for what requests do: a few small objects each, dropped together
/// by a later collection.
///
/// Small objects stand in a field of the state's own, those of a size side by side, in the order in
/// which they are made: a collection then walks through memory instead of jumping. What is free is
/// known from a list beside the field, so that taking an object does not wait for its memory, which
/// nobody has touched since it was swept. Beyond the field, and for larger objects, it is the heap.
/// One thread.

#include <stddef.h>
#include <stdint.h>

enum {
  WR_VM_HEAP_SMALL = 256, ///< bytes of the largest small object
  WR_VM_HEAP_STEP = 16,   ///< sizes are rounded up to this
  WR_VM_HEAP_SIZES = WR_VM_HEAP_SMALL / WR_VM_HEAP_STEP,
  WR_VM_HEAP_FIELD = 8 * 1024 * 1024, ///< bytes of the field; pages are the kernel's until used
};

/// The small objects of one size. Private to vm_heap.c.
struct wr_vm_heap_size {
  void **free; // behind the field
  size_t count;
};

struct wr_vm_heap {
  void *mapped; // private
  char *field;  // private: NULL when there is none
  size_t used;  // private: bytes of the field that belong to a size
  struct wr_vm_heap_size sizes[WR_VM_HEAP_SIZES]; // private
};

/// Maps the field. Without memory for it all is taken from the heap.
void wr_vm_heap_init(struct wr_vm_heap *h);

/// Unmaps the field: nothing in it may be in use.
void wr_vm_heap_fini(struct wr_vm_heap *h);

/// As realloc with both sizes known: `old_size` is what `ptr` was got with, 0 with NULL; a
/// `new_size` of 0 gives it back and returns NULL.
void *wr_vm_heap_resize(struct wr_vm_heap *h, void *ptr, size_t old_size, size_t new_size);
