#!/usr/bin/env python3
"""Proves the server on loopback honest: the official clients of each provider talk to it, with a call and its result.

    pip install openai anthropic google-genai ollama
    cargo run -p outlive-model --features loopback --example loopback -- 18899
    python3 crates/model/tests/official_clients.py http://127.0.0.1:18899
"""

import sys

import anthropic
import ollama
import openai
from google import genai
from google.genai import types

HOST = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:18899"
KEY, MODEL, ASK = "sk-loopback", "loopback", "run `echo hi`"
SCHEMA = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
TOOL = {"name": "bash", "description": "runs a command"}
ARGUMENTS = {"command": "echo hi"}


def responses():
    client = openai.OpenAI(base_url=f"{HOST}/v1", api_key=KEY)
    talk = [{"role": "user", "content": ASK}]
    tools = [{"type": "function", **TOOL, "parameters": SCHEMA, "strict": False}]

    def ask():
        with client.responses.stream(model=MODEL, input=talk, tools=tools, store=False, max_output_tokens=99) as stream:
            return stream.get_final_response()

    first = ask()
    call = next(item for item in first.output if item.type == "function_call")
    assert (call.name, call.arguments) == ("bash", '{"command":"echo hi"}'), call
    talk.append({"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments})
    talk.append({"type": "function_call_output", "call_id": call.call_id, "output": "hi"})
    second = ask()
    assert second.status == "completed" and "hi" in second.output_text, second
    assert second.usage.output_tokens > 0


def completions():
    client = openai.OpenAI(base_url=f"{HOST}/v1", api_key=KEY)
    tools = [{"type": "function", "function": {**TOOL, "parameters": SCHEMA}}]
    with client.chat.completions.stream(
        model=MODEL, messages=[{"role": "user", "content": ASK}], tools=tools, stream_options={"include_usage": True}
    ) as stream:
        reply = stream.get_final_completion()
    assert reply.choices[0].finish_reason == "tool_calls" and reply.usage.completion_tokens > 0, reply
    assert reply.choices[0].message.tool_calls[0].function.arguments == '{"command":"echo hi"}'


def messages():
    client = anthropic.Anthropic(base_url=HOST, api_key=KEY)
    talk = [{"role": "user", "content": [{"type": "text", "text": ASK}]}]
    with client.messages.stream(model=MODEL, max_tokens=99, messages=talk, tools=[{**TOOL, "input_schema": SCHEMA}]) as stream:
        reply = stream.get_final_message()
    assert reply.stop_reason == "tool_use" and reply.content[-1].input == ARGUMENTS, reply


def contents():
    options = types.HttpOptions(base_url=HOST, api_version="v1")
    declared = types.FunctionDeclaration(**TOOL, parameters_json_schema=SCHEMA)
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[declared])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    client = genai.Client(api_key=KEY, http_options=options)
    chunks = list(client.models.generate_content_stream(model=MODEL, contents=ASK, config=config))
    calls = [call for chunk in chunks for call in chunk.function_calls or []]
    assert [(call.name, call.args) for call in calls] == [("bash", ARGUMENTS)], calls
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    stranger = genai.Client(api_key="wrong", http_options=options)
    try:
        list(stranger.models.generate_content_stream(model=MODEL, contents=ASK))
        raise AssertionError("a wrong key is taken")
    except genai.errors.ClientError as error:
        assert error.code == 400, error


def chat():
    client = ollama.Client(host=HOST)
    assert [model.model for model in client.list().models] == [MODEL]
    tools = [{"type": "function", "function": {**TOOL, "parameters": SCHEMA}}]
    chunks = list(client.chat(model=MODEL, messages=[{"role": "user", "content": ASK}], tools=tools, stream=True))
    calls = [call.function for chunk in chunks for call in chunk.message.tool_calls or []]
    assert [(call.name, call.arguments) for call in calls] == [("bash", ARGUMENTS)], calls
    assert chunks[-1].done and chunks[-1].done_reason == "stop"


for client in (responses, completions, messages, contents, chat):
    client()
    print(f"{client.__name__}: good")
