/* Memory of large frames in huge pages, where this process was told to take them: fewer addresses to look up.
 *
 * Invariant: it is a wish. Whether the kernel has such pages changes nothing but the time that a copy takes.
 */
#ifndef DAOSUP_HUGE_PAGES_H
#define DAOSUP_HUGE_PAGES_H

#include <stddef.h>

/* From now on memory is wished for in pages of so many bytes, a power of two; 0, as in the beginning: not at all. */
void huge_pages_take(size_t page_bytes);

/* Say so of whole such pages in this memory, before it is first used. */
void huge_pages_wish(void *memory, size_t bytes);

#endif
