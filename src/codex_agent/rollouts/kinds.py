"""Owns the words at the head of a rollout's lines: which kinds there are, and which of them say something.

Only names and numbers. ``fold.HANDLERS`` says what the kinds that matter mean.
"""

from __future__ import annotations

TYPE = b'"type":"'
EVENT = b'event_msg","payload":{"type":"'
RESPONSE = b'response_item","payload":{"type":"'
ITEM = b'"item":{"type":"'
GLUED = b'{"timestamp":"2'
PLAN = b'"name":"update_plan"'
PLAN_WITHIN = 160  # bytes from the first type in which that stands

# Where things stand in Codex's own writing, counted from the word after the first `"type":"`.
ITEM_AT = len(EVENT + b'item_completed","thread_id":"","turn_id":"",' + ITEM) + 2 * 36
LINE_END = ord("\n")

SKIP, PUT, KEEP, UNKNOWN, ODD = range(5)

RECORDS: dict[bytes, int] = {
    b"session_meta": PUT,
    b"turn_context": KEEP,
    b"token_usage_record": KEEP,
    **dict.fromkeys(
        (b"world_state", b"compacted", b"retained_context", b"inter_agent_communication_metadata"), SKIP
    ),
}
EVENTS: dict[bytes, int] = {
    **dict.fromkeys(
        (b"task_started", b"task_complete", b"turn_aborted", b"patch_apply_end", b"error", b"user_message"),
        PUT,
    ),
    **dict.fromkeys((b"token_count", b"agent_message", b"thread_settings_applied", b"thread_goal_updated"), KEEP),
    **dict.fromkeys(
        (
            b"agent_reasoning",
            b"agent_reasoning_raw_content",
            b"context_compacted",
            b"entered_review_mode",
            b"exited_review_mode",
            b"exec_command_begin",
            b"exec_command_end",
            b"item_started",
            b"mcp_tool_call_begin",
            b"mcp_tool_call_end",
            b"patch_apply_begin",
            b"plan_update",
            b"stream_error",
            b"thread_name_updated",
            b"thread_rolled_back",
            b"undo_completed",
            b"view_image_tool_call",
            b"warning",
            b"web_search_begin",
            b"web_search_end",
        ),
        SKIP,
    ),
}
ITEMS: dict[bytes, int] = {b"FileChange": PUT, b"AgentMessage": KEEP}
CALLS = (b"function_call", b"custom_tool_call", b"local_shell_call")
