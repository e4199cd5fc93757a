"""Greedy search over BLIP's text decoder, several pictures at once, each as if it were alone.

Kernels choose their order of summation by the shape of their input, so a product of 3 rows may
round otherwise than one of 8. Here every product has `ROWS` rows, whatever number of pictures is
there; rows without a picture are computed and dropped. What looks at pictures does so one by one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

ROWS = 8
"""Weights are read once for all rows, so that many cost little more than one."""


class GreedySearch:
    """The most likely next word each time, with keys and values of earlier words kept."""

    def __init__(self, model: Any) -> None:
        text = model.config.text_config
        self._decoder = model.text_decoder
        self._layers = model.text_decoder.bert.encoder.layer
        self._embeddings = model.text_decoder.bert.embeddings
        self._heads = text.num_attention_heads
        self._depth = text.hidden_size // text.num_attention_heads
        self._first, self._last = text.bos_token_id, text.sep_token_id
        self._positions = text.max_position_embeddings

    def __call__(self, seen: list[torch.Tensor], tokens: int) -> list[list[int]]:
        """At most `tokens` words for each of up to `ROWS` pictures.

        seen: for each picture what the vision part made of it, shape (1, patches, width).
        """
        across = self._across(seen)
        like = seen[0]
        most = min(tokens, self._positions - 1)
        shape = (len(self._layers), ROWS, self._heads, most, self._depth)
        keys, values = like.new_empty(shape), like.new_empty(shape)
        words = torch.full((ROWS,), self._first, device=like.device)
        open_rows = torch.ones(len(seen), dtype=torch.bool, device=like.device)
        found = []
        for step in range(most):
            words = self._step(words, step, keys, values, across)
            found.append(words[: len(seen)])
            open_rows &= words[: len(seen)] != self._last
            if not open_rows.any():
                break
        return [self._cut(row) for row in torch.stack(found, dim=1).tolist()]

    def _cut(self, row: list[int]) -> list[int]:
        return row[: row.index(self._last)] if self._last in row else row

    def _across(self, seen: list[torch.Tensor]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Keys and values of the pictures for each layer, (pictures, heads, patches, depth)."""
        made = []
        for layer in self._layers:
            attention = layer.crossattention.self
            shape = (len(seen), self._heads, seen[0].shape[1], self._depth)
            keys, values = seen[0].new_empty(shape), seen[0].new_empty(shape)
            for number, picture in enumerate(seen):
                keys[number] = self._split(attention.key(picture))[0]
                values[number] = self._split(attention.value(picture))[0]
            made.append((keys, values))
        return made

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        """(rows, n, width) to (rows, heads, n, depth)."""
        return x.view(x.shape[0], x.shape[1], self._heads, self._depth).transpose(1, 2)

    def _step(
        self,
        words: torch.Tensor,
        step: int,
        keys: torch.Tensor,
        values: torch.Tensor,
        across: list[tuple[torch.Tensor, torch.Tensor]],
    ) -> torch.Tensor:
        """The next word of each row."""
        x = self._embeddings(input_ids=words[:, None], past_key_values_length=step)
        for number, layer in enumerate(self._layers):
            own = layer.attention.self
            keys[number, :, :, step] = self._split(own.key(x))[:, :, 0]
            values[number, :, :, step] = self._split(own.value(x))[:, :, 0]
            said = self._attend(
                own.query(x), keys[number, :, :, : step + 1], values[number, :, :, : step + 1]
            )
            x = layer.attention.output(said, x)
            looked = self._attend(layer.crossattention.self.query(x), *across[number])
            x = layer.crossattention.output(looked, x)
            x = layer.feed_forward_chunk(x)
        best: torch.Tensor = self._decoder.cls(x)[:, 0].argmax(dim=-1)
        return best

    def _attend(
        self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> torch.Tensor:
        """Attention of one query a row, (rows, 1, width); rows beyond the keys' stay zero."""
        count = keys.shape[0]
        x = functional.scaled_dot_product_attention(self._split(queries)[:count], keys, values)
        x = x.transpose(1, 2).reshape(count, 1, -1)
        return x if count == ROWS else functional.pad(x, (0, 0, 0, 0, 0, ROWS - count))
