-- A store as the first release left it: two jobs, the second one's result in a file.
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, version TEXT NOT NULL, description TEXT, user TEXT NOT NULL,
    tags TEXT NOT NULL, context TEXT, command_criteria TEXT NOT NULL, cluster_criteria TEXT NOT NULL, is_sync INTEGER NOT NULL,
    command_id TEXT NOT NULL, command_name TEXT NOT NULL, cluster_id TEXT NOT NULL, cluster_name TEXT NOT NULL, plugin TEXT NOT NULL,
    status INTEGER NOT NULL, error TEXT, error_document TEXT, plugin_version TEXT, canceled_by TEXT,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, attempts INTEGER NOT NULL, result_bytes INTEGER);
CREATE INDEX jobs_by_status ON jobs (status);
CREATE INDEX jobs_by_user ON jobs (user);
CREATE INDEX jobs_by_created_at ON jobs (created_at);
CREATE INDEX jobs_by_updated_at ON jobs (updated_at);
CREATE TABLE payloads (seq INTEGER PRIMARY KEY, stderr TEXT NOT NULL, result BLOB);
CREATE TABLE objects (
    kind TEXT NOT NULL, id TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    file_status TEXT NOT NULL, status TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;
INSERT INTO jobs VALUES
    (1, 'id-1', 'n', '0.0.1', NULL, 'alice', '["_id:id-1","_name:n","_version:0.0.1","team:a"]', '{"query":"SELECT 1"}', '["a"]', '["b"]',
     1, 'c', 'c', 'l', 'l', 'dynamo', 6, NULL, NULL, '0.1.0', NULL, 10, 11, 0, 11),
    (2, 'id-2', 'n', '0.0.1', NULL, 'bob', '["_id:id-2","_name:n","_version:0.0.1"]', NULL, '["a"]', '["b"]',
     1, 'c', 'c', 'l', 'l', 'dynamo', 6, NULL, NULL, '0.1.0', NULL, 12, 13, 0, 11);
INSERT INTO payloads VALUES (1, 'a line', CAST('{"small":1}' AS BLOB)), (2, '', NULL);
PRAGMA user_version = 1;
