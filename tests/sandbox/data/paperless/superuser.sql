-- Settings of a database change the text of its values: a dump and a comparison must both set their own.
ALTER DATABASE paperless SET timezone = 'Europe/Berlin';
ALTER DATABASE paperless SET bytea_output = 'escape';
ALTER DATABASE paperless SET intervalstyle = 'iso_8601';
