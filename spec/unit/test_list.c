// SPDX-License-Identifier: MIT
#include "unit.h"

#include "base/list.h"

#include <stddef.h>

struct item {
    int number;
    struct list link;
};

static int sum(struct list *list)
{
    int digits = 0;
    LIST_EACH (node, after, list) {
        digits = digits * 10 + LIST_ITEM(node, struct item, link)->number;
    }
    return digits;
}

static void fill(struct list *list, struct item *items, int count)
{
    list_init(list);
    for (int i = 0; i < count; i++) {
        items[i].number = i + 1;
        list_init(&items[i].link);
        list_append(list, &items[i].link);
    }
}

TEST(a_list_keeps_the_order_in_which_nodes_came)
{
    struct list list;
    struct item items[3];
    fill(&list, items, 3);
    EXPECT_INT(sum(&list), 123);
    EXPECT(list_is_linked(&items[1].link));
    EXPECT(!list_is_empty(&list));
}

TEST(leaving_a_list_twice_is_harmless)
{
    struct list list;
    struct item items[3];
    fill(&list, items, 3);
    list_remove(&items[1].link);
    list_remove(&items[1].link);
    EXPECT_INT(sum(&list), 13);
    EXPECT(!list_is_linked(&items[1].link));
}

TEST(the_current_node_may_leave_during_a_walk)
{
    struct list list;
    struct item items[4];
    fill(&list, items, 4);
    LIST_EACH (node, after, &list) {
        if (LIST_ITEM(node, struct item, link)->number % 2 == 0) {
            list_remove(node);
        }
    }
    EXPECT_INT(sum(&list), 13);
}

TEST(a_list_is_taken_whole)
{
    struct list list;
    struct list other;
    struct item items[2];
    fill(&list, items, 2);
    list_init(&other);
    list_take(&other, &list);
    EXPECT(list_is_empty(&list));
    EXPECT_INT(sum(&other), 12);
    list_take(&list, &other);
    EXPECT_INT(sum(&list), 12);
    list_take(&list, &other);
    EXPECT(list_is_empty(&list));
}
