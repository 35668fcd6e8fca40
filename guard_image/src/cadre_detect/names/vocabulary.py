"""The words around names: what introduces a person or a place, and capitalised words that are neither."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TITLES = _words("""
    capt captain chancellor coach col colonel detective doctor don dr dra doña engr father frau fräulein gen
    general governor herr hon inspector judge justice lady lieutenant lord lt madam madame mademoiselle
    maestro major mayor miss mister mlle mme monsieur mr mrs ms nurse officer pastor président president
    prof professor rabbi rev reverend sen senator sergeant sgt signor signora signorina sir sister señor
    señora señorita sr sra srta
""")
"""Before a family name."""

GREETINGS = _words("""
    aloha bonjour bonsoir bye cher chers chère ciao congratulations congrats dear estimada estimado farewell
    goodbye greetings gruezi hallo hello hey hi hiya hola howdy liebe lieber moin morning afternoon evening
    ola querida querido salut servus thank thanks thx welcome yo apologies sorry kudos
""")
"""Before whom one talks to."""

CLOSINGS = (
    "regards", "wishes", "sincerely", "faithfully", "truly", "cheers", "thanks", "thank you", "best", "love",
    "respectfully", "cordially", "grüße", "grüßen", "gruß", "grüssen", "hochachtungsvoll", "cordialement",
    "salutations", "bien à vous", "atentamente", "saludos", "saludo", "un abrazo", "talk soon", "see you",
    "thx",
    "yours", "many thanks", "warmly", "take care", "all the best", "xoxo", "br", "kr", "--", "— ", "signed",
)  # fmt: skip
"""How a line ends that stands above a signature."""

LABELS = _words("""
    accountant adviser advisor agent ansprechpartner applicant applicants approver approvers assigned
    assignee assignees attendee attendees attention attn author authors bcc bearbeiter beneficiary billing
    bill borrower broker buyer caller candidate cardholder cc chair client co-author colleague committer
    contact contacts cosigner counsel customer customers debtor director doctor driver employee employees
    employer guarantor guardian guest holder host insured interviewer introducing kontakt kunde lawyer lead
    lehrer lender manager member members mentor merchant mitarbeiter name names nom nombre nominee organizer
    organiser owner parent participant participants passenger patient payee payer physician policyholder
    presenter président recipient recruiter referee reference reporter reporters representative requester
    reviewer reviewers reviewed-by sender seller ship shipper signatory signed-off-by co-authored-by
    acked-by tested-by speaker speakers spouse student supervisor supplier teacher tenant translator user
    username verfasser witness witnesses from to by vorname nachname prénom apellido apellidos fullname
    firstname lastname full_name first_name last_name agent_name customer_name client_name user_name
    employee_name patient_name surname forename display_name displayname creator assigned_to created_by
    updated_by
""")
"""Before `:` or `=`: what follows is somebody."""

PERSON_BEFORE = _words("""
    according alongside ask asked asking behalf by call called calling cc contact contacted consult
    convinced daughter email emailed father friend forwarded helped hired husband inform informed
    interviewed invite invited join knows manager meet meeting met mother named nephew niece notify partner
    ping pinged phoned reminded replaced saw son sister brother colleague supervisor spoke spouse talk
    talked tell telling telled texted told thank uncle via visit wife with witness yours from for and or mit
    von bei an frage bitte fragen avec par chez con por que says said
""")
"""The word before a person more often than before a thing."""

PERSON_AFTER = _words("""
    accepted added agreed agrees announced answered approved approves argued arrived asked asks attended
    believes bought broke brought built calls called came can cannot changed checked claimed claims comes
    complained confirmed could countersigned covers created decided did didn't does doesn't doubted drives
    drove emailed explained explains feels felt fixed followed forgot found gave gets goes got had handled
    has hasn't hates have he heads helped helps hired informed insists is isn't joined joins just knew knows
    leads leaves left likes lives lived loves made manages may mentioned mentors met might moved must needs
    never noted noticed offered opened owes paid phoned pointed posted prefers presented promised proposed
    quit ran recommended refused remembered reminded replied replies reported reports requested reviewed
    runs said sat saw says sees sends sent she should shouted signed sits sold speaks spoke started starts
    stayed studies suggested suspects takes talked teaches tells thinks thought told took travelled traveled
    tried tries used votes wanted wants was wasn't went who whose will won't works worked would wrote wrote:
    here from hat ist sagt schreibt wohnt kommt war wird est a dit habite tiene dijo vive es
""")
"""The word after a person more often than after a thing."""

PLACE_LABELS = _words("""
    birthplace capital city ciudad destination location ort place place_of_birth region residence stadt town
    ville wohnort
""")
"""Before `:` or `=`: what follows is a place."""

PLACE_BEFORE = _words(
    "in near at around outside inside across throughout toward towards into within en à nach aus"
)
"""The word before a place."""

MOTION = _words("""
    moved move moving travel travelled traveling travelling trip trips flight fly flying flew drive drove
    train relocated relocating commute commuting went going visit visiting shipped delivery route directions
    based office branch born live lives living stay staying hotel welcome transfer transferred
""")
"""Before `to` or `from`: what follows is a place."""

PLACE_AFTER = _words("""
    airport area bay beach branch bridge campus city coast county district downtown harbour harbor hills
    island launch market mountains office offices plant port province region river site square state station
    street avenue ave boulevard blvd drive lane park rd road suburb team time town university valley village
    warehouse
""")
"""After a place rather than a person."""

ORGANISATION_AFTER = _words("""
    ab ag airlines airways association associates bank bv capital college company consulting corp
    corporation electronics energy enterprises foods foundation gmbh group holding holdings hospital hotel
    inc industries institute insurance international kg labs limited llc llp logistics ltd media motors nv
    oy partners plc press sa sarl se sons solutions spa srl studios systems technologies technology trust
    university ventures
""")
"""After the name of a company."""

DETERMINERS = _words("""
    the a an this these those our your my his its their every each any no some new another same der die das
    ein eine einen dem den des le la les un une el los las una unos
""")

PARTICLES = _words("""
    af al ap bin bint da dal de del della den der di dos du el ibn la las le los o' of san st ten ter van
    vom von y zu zum zur
""") - {"of"}
"""Lower-case words inside a name."""

NATIONALITIES = _words("""
    african albanian algerian american arab arabic argentinian asian australian austrian belgian brazilian
    british bulgarian canadian catalan chilean chinese christian colombian croatian cuban czech danish dutch
    egyptian english estonian ethiopian european finnish flemish french german greek hebrew hindi hindu
    hungarian icelandic indian indonesian iranian iraqi irish israeli italian jamaican japanese jewish
    kenyan korean latin latvian lithuanian malaysian mexican moroccan muslim nepali nigerian nordic
    norwegian pakistani persian peruvian polish portuguese romanian russian scandinavian scottish serbian
    slovak slovenian somali spanish swahili swedish swiss syrian thai tunisian turkish ukrainian vietnamese
    welsh
""")

CALENDAR = _words("""
    day week month year eve birthday weekend holiday january february march april may june july august
    september october november december jan feb mar apr jun jul aug sep sept oct nov dec monday tuesday
    wednesday thursday friday saturday sunday mon tue wed thu fri sat sun today tomorrow yesterday easter
    christmas montag dienstag mittwoch donnerstag freitag samstag sonntag januar februar märz mai juni juli
    oktober dezember lundi mardi mercredi jeudi vendredi samedi dimanche lunes martes miércoles jueves
    viernes sábado domingo
""")

PRODUCTS = _words("""
    acrobat adobe airbnb airflow airtable alexa algolia alibaba alpine amazon amd android angular ansible
    anthropic apache apple arduino argo argocd asana atlassian auth0 aws azure backstage bamboo bash
    basecamp bazel bert bigquery bing bitbucket bitcoin bitwarden blazor bluetooth bootstrap boto3 calico
    canva cassandra celery centos ceph chatgpt chrome chromium cilium circleci cisco claude clickhouse
    cloudflare cloudfront codecov cognito composer confluence consul copilot cosmos couchbase cucumber
    cypress cython dagster dart databricks datadog debian deepmind dell deno dhl discord django docker
    dockerfile docusign dropbox druid dynamodb ebay eclipse elasticsearch electron elixir envoy erlang
    eslint ethereum etsy excel expedia express facebook fastapi fedex fedora figma firebase firefox fission
    flask flink flutter fortran freebsd galaxy gatsby gemini gerrit github gitlab gitea gmail gnome golang
    goose gpt gradle grafana graphql grpc gunicorn hadoop haproxy harbor haskell haskell helm heroku
    hibernate hubspot huggingface ibm instagram intel intellij intercom ios ipad iphone istio iterm java
    javascript jenkins jetbrains jira jquery jupyter kafka karma keras keycloak kibana kinesis kotlin
    kubectl kubernetes lambda langchain laravel latex lenovo lightroom linkedin linkerd linux llama logitech
    logstash loki lua lucene lyft mac macbook macos magento mailchimp mariadb markdown mastercard mattermost
    maven memcached mercurial meta metabase microsoft minio miro mistral mongo mongodb mozilla mysql nagios
    neo4j netflix netlify netsuite nextcloud nexus nginx node nodejs nomad notion npm numpy nvidia oauth
    okta ollama openai openid openshift openssl openstack oracle outlook pagerduty pandas paypal perl
    phoenix photoshop php pip pixel playwright podman poetry postgres postgresql postman powershell
    powerpoint presto prisma prometheus pulumi puppet pycharm pydantic pyspark pytest python pytorch
    qualcomm qwen rabbitmq rails react reddit redhat redis redux rust safari salesforce samsung sap scala
    scikit selenium sentry sharepoint shopify signal skype slack snowflake solaris sonarqube sony spacy
    spark splunk spotify spring sqlalchemy sqlite stackoverflow stripe suse svelte swagger swift symfony
    tableau teams telegram tensorflow terraform tesla tiktok tomcat traefik trello trino tumblr twilio
    twitch twitter typescript uber ubuntu unix ups usb vagrant vault vercel vim visa vite vmware vscode vue
    wechat webflow webpack whatsapp wikipedia windows wordpress xbox xcode xero yahoo yarn youtube zapier
    zendesk zoom zookeeper usps volkswagen toyota bmw mercedes siemens bosch ikea nike adidas starbucks
    mcdonalds walmart costco target fortinet palo mcafee norton webex gdpr hipaa kanban scrum wifi wlan
    agile api json yaml html css http https url sql
""")
"""Things that dictionaries do not list and that are written like names."""

SLANG = _words("""
    usd eur gbp chf jpy cny inr aud cad brl sek nok dkk pln czk huf hz khz mhz ghz kb mb gb tb ms km kg lb
    oz ack afaik afaict aka asap atm bcs brb btw cc cya dm dms eod eow etc faq fwiw fyi gonna gotta haha
    hahaha hehe hmm hmmm idk iirc imho imo irl jfyi jk kinda lgtm lmk lol lunchtime mins nah nit nits nope
    nvm ofc okay ok omg oops ooo pls plz pm pto ptal rn rofl rsvp smh sry tba tbc tbd tbh thx tldr tmi ty uh
    uhm uni wanna wfh wip wtf ya yay yeah yep yikes yup todo fixme there all team everyone everybody folks
    guys again colleagues both sir madam customer friends again
""")

HEADINGS = _words("""
    account address agenda amount attachment billing budget city code comment company contact country date
    department description email error event fax grüße id invoice item kind kinds language level line link
    location message method mobile name note notes number order page password path payment phone priority
    product project question reason ref reference region remark request response result role room salary
    sentry server service session size source stage state status step street subject summary system tax tel
    telephone ticket time title total type url user value version zip
""")
"""Field names of forms, never names even where a list of family names has them."""
