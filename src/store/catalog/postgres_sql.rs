//! The queries of the PostgreSQL reader. Every column is text; lists are JSON.

/// Version and the first schema of the search path that exists.
pub(super) const SERVER: &str = "SELECT current_setting('server_version'), current_schema()::text";

/// Tables and views that are neither the server's own nor temporary.
pub(super) const TABLES: &str = "
    SELECT c.oid::text, n.nspname::text, c.relname::text, c.relkind::text,
           c.reltuples::bigint::text, c.relpages::text,
           c.relrowsecurity::text, row_security_active(c.oid)::text,
           (EXISTS (SELECT FROM pg_catalog.pg_rewrite r
                    WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN' AND r.ev_enabled <> 'D'))::text,
           (u.usable AND has_table_privilege(c.oid, 'SELECT'))::text,
           (u.usable AND has_any_column_privilege(c.oid, 'INSERT'))::text,
           (u.usable AND has_any_column_privilege(c.oid, 'UPDATE'))::text,
           (u.usable AND has_table_privilege(c.oid, 'DELETE'))::text
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (SELECT has_schema_privilege(n.oid, 'USAGE') AS usable) u
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'";

/// Columns; a domain is followed down to the type that it is made of.
pub(super) const COLUMNS: &str = "
    WITH RECURSIVE domains(oid, base, typmod, required) AS (
        SELECT oid, typbasetype, typtypmod, typnotnull FROM pg_catalog.pg_type WHERE typtype = 'd'
        UNION ALL
        SELECT d.oid, t.typbasetype, CASE WHEN d.typmod = -1 THEN t.typtypmod ELSE d.typmod END,
               d.required OR t.typnotnull
        FROM domains d JOIN pg_catalog.pg_type t ON t.oid = d.base AND t.typtype = 'd'),
    resolved AS (
        SELECT d.* FROM domains d JOIN pg_catalog.pg_type t ON t.oid = d.base AND t.typtype <> 'd')
    SELECT a.attrelid::text, a.attname::text, format_type(a.atttypid, a.atttypmod),
           format_type(b.oid, -1),
           CASE WHEN b.typnamespace = 'pg_catalog'::regnamespace THEN b.typname::text ELSE '' END,
           b.typtype::text, b.typcategory::text,
           (CASE WHEN a.atttypmod <> -1 THEN a.atttypmod ELSE d.typmod END - 4)::text,
           (a.attnotnull OR coalesce(d.required, false))::text, a.attgenerated::text, a.attidentity::text,
           (a.atthasdef OR o.typdefault IS NOT NULL)::text, pg_get_expr(f.adbin, f.adrelid),
           (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e
            WHERE e.enumtypid = b.oid)::text,
           (SELECT l.collname FROM pg_catalog.pg_collation l
            WHERE l.oid = a.attcollation AND a.attcollation <> b.typcollation)::text
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_type o ON o.oid = a.atttypid
    LEFT JOIN resolved d ON d.oid = a.atttypid
    JOIN pg_catalog.pg_type b ON b.oid = coalesce(d.base, a.atttypid)
    LEFT JOIN pg_catalog.pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
    ORDER BY a.attrelid, a.attnum";

/// How far each column's order follows the disk, as far as the role may know it.
pub(super) const CORRELATIONS: &str = "
    SELECT schemaname::text, tablename::text, attname::text, correlation::text
    FROM pg_catalog.pg_stats
    WHERE correlation IS NOT NULL AND NOT inherited AND schemaname NOT IN ('pg_catalog', 'information_schema')";

/// Indexes; an expression is null in the list, included columns are left out.
pub(super) const INDEXES: &str = "
    SELECT i.indrelid::text, c.relname::text, (i.indisunique AND i.indisvalid)::text, i.indisprimary::text,
           (i.indpred IS NOT NULL)::text, (i.indisvalid AND m.amname IN ('btree', 'hash'))::text,
           (SELECT json_agg(a.attname ORDER BY k.place)
            FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place)
            LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0
            WHERE k.place <= i.indnkeyatts)::text
    FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_am m ON m.oid = c.relam
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
    ORDER BY i.indrelid, c.relname";

/// Foreign keys. The copies that a key to a partitioned table has for each of its partitions are left out.
pub(super) const FOREIGN_KEYS: &str = "
    SELECT k.conrelid::text, k.conname::text, n.nspname::text, c.relname::text, k.confdeltype::text,
           k.condeferrable::text,
           (coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t
                            WHERE t.tgconstraint = k.oid AND t.tgenabled IN ('D', 'R')))::text,
           (SELECT json_agg(a.attname ORDER BY s.place) FROM unnest(k.conkey) WITH ORDINALITY s(attnum, place)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = s.attnum)::text,
           (SELECT json_agg(a.attname ORDER BY s.place) FROM unnest(k.confkey) WITH ORDINALITY s(attnum, place)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = s.attnum)::text
    FROM pg_catalog.pg_constraint k
    JOIN pg_catalog.pg_class c ON c.oid = k.confrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_constraint p ON p.oid = k.conparentid
    WHERE k.contype = 'f' AND (p.oid IS NULL OR p.conrelid <> k.conrelid)
    ORDER BY k.conrelid, k.conname";

/// CHECK constraints, those of the columns' domains included.
pub(super) const CHECKS: &str = "
    SELECT k.conrelid::text, k.conname::text,
           (SELECT json_agg(a.attname ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
            WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey))::text,
           pg_get_constraintdef(k.oid)
    FROM pg_catalog.pg_constraint k
    WHERE k.contype = 'c' AND k.conrelid <> 0
    UNION ALL
    SELECT a.attrelid::text, k.conname::text, json_build_array(a.attname)::text, pg_get_constraintdef(k.oid)
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_constraint k ON k.contypid = a.atttypid AND k.contype = 'c'
    WHERE a.attnum > 0 AND NOT a.attisdropped
    ORDER BY 1, 2";

/// Enabled triggers that somebody made.
pub(super) const TRIGGERS: &str = "
    SELECT tgrelid::text, tgname::text, tgtype::text, pg_catalog.pg_get_triggerdef(t.oid) || E'\\n' || p.prosrc
    FROM pg_catalog.pg_trigger t
    JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
    WHERE NOT tgisinternal AND tgenabled IN ('O', 'A')
    ORDER BY tgrelid, tgname";

/// Child and parent, of partitions and of INHERITS.
pub(super) const INHERITS: &str =
    "SELECT inhrelid::text, inhparent::text FROM pg_catalog.pg_inherits ORDER BY inhseqno";

/// Each table with the materialised views that read it, directly or through views.
pub(super) const MATERIALISED: &str = "
    WITH RECURSIVE reads(reader, source) AS (
        SELECT DISTINCT r.ev_class, d.refobjid
        FROM pg_catalog.pg_rewrite r
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid
             AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> r.ev_class
        JOIN pg_catalog.pg_class v ON v.oid = r.ev_class AND v.relkind IN ('v', 'm')),
    walk(reader, source) AS (
        SELECT reader, source FROM reads
        UNION
        SELECT r.reader, w.source FROM walk w JOIN reads r ON r.source = w.reader)
    SELECT DISTINCT w.source::text, n.nspname || '.' || v.relname
    FROM walk w
    JOIN pg_catalog.pg_class v ON v.oid = w.reader AND v.relkind = 'm'
    JOIN pg_catalog.pg_namespace n ON n.oid = v.relnamespace
    ORDER BY 1, 2";
