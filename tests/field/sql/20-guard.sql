CREATE TABLE ledger (id int PRIMARY KEY, amount numeric);
INSERT INTO ledger VALUES (1, 10), (2, 20);
CREATE FUNCTION only_migrations() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    IF session_user <> 'migrations' THEN
        RAISE EXCEPTION 'the guard of the ledger: not by %', session_user;
    END IF;
END $$;
CREATE EVENT TRIGGER guard ON ddl_command_start EXECUTE FUNCTION only_migrations();
