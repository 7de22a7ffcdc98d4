-- GitLab keeps an extra search path away from its partitions; a setting for one role in one database is a "global", too.
ALTER ROLE gitlab IN DATABASE gitlabhq_production SET statement_timeout = '60s';
ALTER DATABASE gitlabhq_production SET default_statistics_target = 50;
