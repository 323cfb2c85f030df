"""Bytes in the formats of version 1 of the program, written by hand: code of today would not show the past."""

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from services.common.ids import new_job_id

SCHEMA = """
CREATE TABLE messages (
    place INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL UNIQUE, model TEXT NOT NULL,
    body BLOB NOT NULL, deliveries INTEGER NOT NULL DEFAULT 0,
    token TEXT UNIQUE, leased_until REAL NOT NULL DEFAULT 0);
CREATE INDEX messages_of_model ON messages (model, place);
CREATE TABLE dead_letters (
    place INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL UNIQUE, model TEXT NOT NULL,
    body BLOB NOT NULL, died_at REAL NOT NULL);
CREATE TABLE statuses (
    job_id TEXT PRIMARY KEY, record TEXT NOT NULL, exhausted INTEGER NOT NULL, ended_by TEXT, forget_at REAL);
CREATE INDEX statuses_live ON statuses (job_id) WHERE forget_at IS NULL;
CREATE INDEX statuses_ended ON statuses (forget_at) WHERE forget_at IS NOT NULL;
CREATE INDEX statuses_owned ON statuses (ifnull(json_extract(record, '$.message.owner'), ''), job_id);
CREATE TABLE idempotency_keys (
    owner TEXT NOT NULL, key TEXT NOT NULL, job_id TEXT NOT NULL, forget_at REAL NOT NULL, PRIMARY KEY (owner, key));
CREATE INDEX keys_of_job ON idempotency_keys (job_id);
CREATE INDEX keys_by_time ON idempotency_keys (forget_at);
CREATE TABLE epoch (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), seconds REAL NOT NULL);
"""
MESSAGE_ID = "0f6d5cd9bb1a4f6a9d2f0c6a8f9b7e11"


def message(job_id: str, model: str, **more: Any) -> dict[str, Any]:
    now = time.time()
    return {
        "schema_version": 1,
        "message_id": MESSAGE_ID,
        "job_id": job_id,
        "model": model,
        "modality": "txt2img",
        "params": {"prompt": "red mug", "seed": 7},
        "owner": None,
        "created_at": now,
        "expires_at": now + 600,
        **more,
    }


def record(job_id: str, model: str, **more: Any) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "state": "queued",
        "message": message(job_id, model),
        "published": True,
        "idempotency_key": None,
        "body_hash": None,
        "created_at": time.time(),
        "started_at": None,
        "finished_at": None,
        "attempt": 0,
        "cancel_requested": False,
        "progress": None,
        "artifacts": [],
        "error": None,
        "lease_token": None,
        "lease_message_id": None,
        "lease_expires_at": None,
        **more,
    }


def manifest(job_id: str, model: str, *, version: int = 1, **more: Any) -> bytes:
    ended = {"state": "canceled", "finished_at": time.time(), **more}
    return json.dumps({"schema_version": version, "record": record(job_id, model, **ended)}).encode()


def write_file(path: Path, model: str) -> str:
    """Write an SQLite file with one queued job and return its id."""
    job_id = new_job_id()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(SCHEMA)
        connection.execute("INSERT INTO epoch VALUES (1, 0)")
        row = (job_id, json.dumps(record(job_id, model)), 0, None, None)
        connection.execute("INSERT INTO statuses VALUES (?, ?, ?, ?, ?)", row)
        body = json.dumps(message(job_id, model)).encode()
        connection.execute("INSERT INTO messages (message_id, model, body) VALUES (?, ?, ?)", (MESSAGE_ID, model, body))
    return job_id
