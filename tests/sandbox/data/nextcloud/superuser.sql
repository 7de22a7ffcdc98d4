-- Nextcloud All-in-One does this (Containers/postgresql/start.sh): whoever holds a session idle for 3 s loses it.
ALTER DATABASE nextcloud SET idle_session_timeout = 3000;
